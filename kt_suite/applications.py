"""KerasTuner's ready hypermodels, under the same names; those of kt_suite are in ``kt_suite.models``."""

from keras_tuner.applications import HyperEfficientNet, HyperImageAugment, HyperResNet, HyperXception

__all__ = ["HyperEfficientNet", "HyperImageAugment", "HyperResNet", "HyperXception"]
