"""Surrogates: Gaussian processes over a mixed unit cube.

Mathematics only, on arrays: nothing here knows of trials, hyperparameters or TensorFlow.

- ``mixed_matern``: the correlation of floats, integers, categories and inactive coordinates.
- ``gaussian_process``: the posterior for given hyperparameters, its gradients, and conditioning on more points.
- ``fitting``: hyperparameters by maximum a posteriori.
- ``output_warping``: losses made Gaussian.
"""

from kt_suite.surrogates.fitting import Priors, fit
from kt_suite.surrogates.gaussian_process import GaussianProcess
from kt_suite.surrogates.kernel_parameters import KernelParameters
from kt_suite.surrogates.mixed_matern import MixedMatern
from kt_suite.surrogates.output_warping import OutputWarping
from kt_suite.surrogates.posterior import Posterior

__all__ = ["GaussianProcess", "KernelParameters", "MixedMatern", "OutputWarping", "Posterior", "Priors", "fit"]
