"""The public face of a search."""

from __future__ import annotations

import datetime
import os
from collections.abc import Mapping
from typing import Any, NoReturn

from kt_suite.checks import check_arguments, check_data, check_environment, check_objective, check_space
from kt_suite.discovery import discover, reconcile
from kt_suite.distribution.distribution import Distribution, one_of
from kt_suite.errors import InputError, rule
from kt_suite.executors.choose import make_executor
from kt_suite.folds import model_predicts_classes
from kt_suite.hypermodel import as_hypermodel, fit_options, is_estimator, overrides_fit
from kt_suite.hyperparameters import HyperParameters
from kt_suite.limits import Limits
from kt_suite.loggers.base import Logger
from kt_suite.oracles import books
from kt_suite.oracles.base import Oracle
from kt_suite.planning import FACT, RunPlanner
from kt_suite.project import create_project, find_project, project_path
from kt_suite.pruners import pruner_for
from kt_suite.racing import as_racing
from kt_suite.results import SearchResults
from kt_suite.retention import Retention
from kt_suite.scoring import scorers_for
from kt_suite.search import Search
from kt_suite.seeds import generators_kept
from kt_suite.storage import Storage
from kt_suite.tasks import check_oracle

# Trials proposed ahead where deterministic=True.
WINDOW = 4


class Tuner(SearchResults):
    """Searches the space of a hypermodel for the values that train best.

    It is a ``keras_tuner.Tuner``: arguments, methods and what may be overridden are KerasTuner's. Keyword-only
    arguments are
    additions. Everything that happens is kept in ``<directory>/<project_name>/search.db``, so that a search that was
    interrupted or killed goes on where it stopped when the same script runs again.

    Args:
        oracle: Any ``keras_tuner.Oracle``, ours or not.
        hypermodel: A ``HyperModel``, or a function ``build(hp)`` that returns a compiled model; may be left out where
            ``run_trial`` is overridden.
        max_model_size: Largest number of parameters; a larger model fails its trial.
        optimizer, loss, metrics: Override what ``build`` compiled with.
        distribution_strategy: KerasTuner's name for ``distribution``.
        directory: Where projects live.
        project_name: Name of the search and of its directory.
        logger: Not used; for old scripts.
        tuner_id: Not used; for old scripts.
        overwrite: Whether an earlier search of the same name is removed. It is resumed otherwise.
        executions_per_trial: Runs of each trial, whose mean is its score.
        distribution: How each trial is spread over devices and machines: a ``tf.distribute.Strategy``,
            ``"mirrored"``, ``"multi_worker_mirrored"``, ``"parameter_server"``, ``"central_storage"``,
            ``"one_device:/gpu:0"``, ``"tpu"``, or ``"auto"`` for mirrored where there are several GPUs.
        executor: ``"inline"``, one trial after the other; ``"fused"``, side by side in compiled programs; ``"auto"``,
            fused where only the speed differs, else inline; ``"processes"``; ``"ray"``; or an ``Executor``.
        workers: Number of workers at most; one for each GPU, else for each core, if ``None``.
        trial_timeout: Seconds after which a trial in a worker process is ended as failed.
        score: The epoch of a run that counts: ``"best"`` or ``"last"``.
        tensorboard: Log directory for TensorBoard; ``None`` for none.
        keep_checkpoints: Number of best trials whose weights stay on disk, or ``"all"``.
        cross_validation: Folds that each trial is trained on, whose mean is its score: a number (shuffled by the seed,
            stratified where targets are classes), any splitter of scikit-learn, or pairs of training and validation
            rows.
        racing: Whether a trial that cannot win any more leaves out the folds that are left: ``True``, or the chance
            that a winner is stopped, or a ``Racing``, which documents the test. Not where folds train side by side.
        task_score: How the results of a trial on several ``tasks`` become its score: ``"rank"``, the mean over tasks of
            the share of the other trials that do better; or ``"scaled"``, the mean distance to the best trial in units
            of the median trial's. Both grow with the loss; they are subtracted from 1 where more is better.
        pruner: Stops trials that cannot win in mid-training: a ``Pruner``, or the name of one.
        time_budget: Wall-clock time of the whole search: seconds, or a timedelta. The running trial stops at its next
            batch.
        patience: Trials in a row without a better score that end the search.
        target: Score that ends the search.
        deterministic: Whether proposals are to be the same whatever executor trains, and however fast: so many trials
            are proposed ahead (``True`` stands for 4), and results are booked in the order of proposal.
        facts: Anything JSON-able to be stored with the search.

    Raises:
        InputError: An argument that cannot be used.
        ProjectError: The project directory belongs to something else, or to a search with other settings.
    """

    def __init__(
        self,
        oracle: Any,
        hypermodel: Any = None,
        max_model_size: int | None = None,
        optimizer: Any = None,
        loss: Any = None,
        metrics: Any = None,
        distribution_strategy: Any = None,
        directory: Any = None,
        project_name: str | None = None,
        logger: Any = None,
        tuner_id: str | None = None,
        overwrite: bool = False,
        executions_per_trial: int = 1,
        *,
        distribution: Any = None,
        executor: Any = "auto",
        workers: int | None = None,
        trial_timeout: float | None = None,
        score: str = "best",
        tensorboard: str | os.PathLike[str] | None = "tensorboard_logs",
        keep_checkpoints: int | str = 10,
        cross_validation: Any = None,
        racing: Any = None,
        task_score: str = "rank",
        pruner: Any = None,
        time_budget: float | datetime.timedelta | None = None,
        patience: int | None = None,
        target: float | None = None,
        deterministic: bool | int = False,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        # KerasTuner's constructor makes and deletes directories as it goes: ours sets the same attributes, without.
        check_arguments(oracle, score, keep_checkpoints, executions_per_trial)
        self.distribution = Distribution(one_of(distribution, distribution_strategy))
        books.tame(oracle)
        self.oracle = oracle
        self.hypermodel = as_hypermodel(hypermodel)
        if self.hypermodel is None and not self._overrides("run_trial"):
            raise InputError(rule("hypermodel", "be given unless run_trial is overridden", hypermodel))
        self.max_model_size = max_model_size
        self.optimizer, self.loss, self.metrics = optimizer, loss, metrics
        self.executions_per_trial = executions_per_trial
        self._planner = RunPlanner(cross_validation, executions_per_trial, task_score)
        self.racing = as_racing(racing)
        if cross_validation is None and self.racing is not None:
            raise InputError(rule("racing", "be None without cross_validation", racing))
        if cross_validation is not None and self._overrides("run_trial"):
            raise InputError(rule("cross_validation", "be None where run_trial is overridden", cross_validation))
        self.executor = make_executor(
            executor, workers=workers, trial_timeout=trial_timeout, distribution=self.distribution
        )
        self.score, self.keep_checkpoints = score, keep_checkpoints
        self.tensorboard = None if tensorboard is None else os.path.abspath(tensorboard)
        self.logger, self.tuner_id = logger, tuner_id or "tuner0"
        self._path = project_path(directory, project_name)
        self.directory, self.project_name = str(directory or "."), self._path.name
        self._user_facts = dict(facts or {})
        self._limits = Limits(self._direction, time_budget=time_budget, patience=patience, target=target)
        self._window = WINDOW if deterministic is True else deterministic or None
        self.pruner = pruner_for(oracle, pruner)
        self._call: tuple[tuple[Any, ...], dict[str, Any]] | None = None
        self._given_seed = oracle.seed if getattr(oracle, "seed_is_given", False) else None
        self._storage: Storage | None = None
        if not self.distribution.is_follower:  # the project is the chief's
            self._storage = find_project(self._path, self._settings(), overwrite=overwrite, seed=self._given_seed)
        if not getattr(self.hypermodel, "requires_data", False):
            self._populate_initial_space()
            self._check_model_is_compiled()
        if self._storage is not None:
            self.reload()

    def enqueue(self, values: Mapping[str, Any]) -> None:
        """Has ``values`` tried before anything else is proposed; what they do not name takes its default.

        Raises:
            InputError: A name that is not in the space, a value outside its range, or a foreign oracle.
        """
        if not isinstance(self.oracle, Oracle):
            raise InputError(rule("The oracle", "be one of kt_suite's to take values", self.oracle))
        self.oracle.enqueue(values)

    # The space

    def _populate_initial_space(self) -> None:
        """Builds until every conditional scope that can be active has been. Kept apart for AutoKeras, which overrides
        it.
        """
        if self.hypermodel is None:
            return
        hp = self.oracle.get_space()
        self.hypermodel.declare_hyperparameters(hp)
        self.oracle.update_space(hp)
        with generators_kept():
            self._sample_model = discover(self.oracle, self._build_and_ask)
        model = self._sample_model
        self._tunes_estimators = is_estimator(model) and not overrides_fit(self.hypermodel)
        self._predicts_classes = model_predicts_classes(model)

    def _build_and_ask(self, hp: Any) -> Any:
        model = self._build_hypermodel(hp)
        if not self._overrides("run_trial"):
            fit_options(self.hypermodel, hp)
            if isinstance(self.oracle, Oracle):
                self.oracle.note_asked(hp.used)
        return model

    def _check_model_is_compiled(self) -> None:
        """Raises ``InputError`` for a build whose model plain ``fit`` could not train."""
        if self.hypermodel is None or overrides_fit(self.hypermodel) or self._overrides("run_trial"):
            return
        model, self._sample_model = self._sample_model, None
        if self._tunes_estimators:
            return
        if not hasattr(model, "compiled") or not model.compiled:
            raise InputError(
                rule("build", "return a compiled keras.Model", model, "Call model.compile before returning it.")
            )

    # Searching

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Searches until all trials are done, the space is exhausted, or a limit is reached.

        Run again, it goes on: with more trials if ``max_trials`` has grown. In a cluster it returns in the chief only,
        and ends every other process with exit code 0.

        Args:
            *fit_args: As for ``model.fit``: inputs and targets.
            **fit_kwargs: As for ``model.fit``: ``validation_data``, ``epochs``, ``callbacks`` (copied for each run;
                or a function that makes a list), ``sample_weight`` and so on. ``groups`` is for splitters that keep
                groups together, ``tasks={"name": (x, y), ...}`` in place of inputs and targets for values that suit
                several data sets of one shape. ``verbose`` is about the search: 0 is silent, 1 shows progress, 2 also
                each epoch.

        Raises:
            InputError: Data or arguments that cannot be used, before anything is trained.
            SearchFailedError: Too many trials in a row have failed.
        """
        self._call = (fit_args, dict(fit_kwargs))
        verbose = fit_kwargs.pop("verbose", 1)
        with generators_kept():
            fit_args, fit_kwargs = self._planner.arrange(fit_args, fit_kwargs)
            fit_kwargs = self._prepare(fit_args, fit_kwargs)
        self._fit_args, self._fit_kwargs = fit_args, fit_kwargs
        if self.distribution.is_follower:
            self._follow()
        self.executor.prepare(self)
        storage = self._storage = self._open_storage()
        search = Search(
            self.oracle,
            self.executor,
            storage=storage,
            loggers=self._loggers(verbose),
            runner=self,
            directory=self._path,
            on_ended=Retention(self._path, self.oracle, self.keep_checkpoints).on_ended,
            limits=self._limits,
            pruner=self.pruner,
            window=self._window,
            rescore=self._planner.rescorer(self._direction),
            racing=self.racing,
        )
        if self.racing is not None:
            self.racing.open(
                len(self.run_plans()) // self.executions_per_trial, self.executions_per_trial, self._direction
            )
        with storage.lock(), generators_kept():
            if any(one.is_finished for one in storage.trials()):
                self._planner.check_continues(storage.fact(FACT), self.project_dir)
            storage.update_facts({**self._changing_facts(), FACT: self._planner.facts})
            self.on_search_begin()
            search.run(self._info(fit_kwargs))
            self.on_search_end()

    def _follow(self) -> NoReturn:
        from kt_suite.follower import follow

        with generators_kept():
            follow(self, self.distribution)
        raise SystemExit(0)  # what a script does with the results of its search is the chief's business

    def _open_storage(self) -> Storage:
        if self._storage is not None:
            return self._storage
        # Another tuner may have begun the search since this one was made.
        self._storage = find_project(self._path, self._settings(), overwrite=False, seed=self._given_seed)
        if self._storage is None:
            return create_project(self._path, self._settings())
        self.reload()
        return self._storage

    def resume(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Goes on with the search: with the arguments of the last ``search`` of this object if none are given.

        Raises:
            InputError: No arguments, and no earlier call to take them from.
        """
        if not fit_args and not fit_kwargs:
            if self._call is None:
                raise InputError(
                    rule("resume()", "get the data, as search() does", (), "Data are not stored with a search.")
                )
            fit_args, fit_kwargs = self._call[0], dict(self._call[1])
        self.search(*fit_args, **fit_kwargs)

    def _prepare(self, fit_args: tuple[Any, ...], fit_kwargs: dict[str, Any]) -> dict[str, Any]:
        check_environment()
        is_plain = not (self._overrides("run_trial") or overrides_fit(self.hypermodel))
        x, y = self._planner.inputs(fit_args, fit_kwargs)
        if fit_kwargs.get("tasks") is not None:
            check_oracle(self.oracle)
            if self.racing is not None:
                raise InputError(rule("racing", "be None where tasks are given", self.racing))
        if is_plain:
            check_objective(self.oracle.objective)
            check_data(x, y, fit_kwargs.get("validation_data"))
        if self.distribution.cluster is not None and scorers_for(self.oracle.objective):
            must = "be a metric of the model where several processes train it"
            raise InputError(rule("objective", must, self.oracle.objective.name))
        bind = getattr(self.hypermodel, "bind", None)
        if bind is not None and x is not None:
            was_waiting = self.hypermodel.requires_data
            bind(x, y, fit_kwargs.get("validation_data"))
            if was_waiting:
                self._populate_initial_space()
                self._check_model_is_compiled()
                self._reconcile()
        if self._tunes_estimators:
            from kt_suite.estimators import check_estimators

            check_estimators(self.oracle.objective, self._scorers, fit_args, fit_kwargs, self._planner.cross_validation)
        tuned = self.check_fit_options(fit_kwargs)
        if is_plain:
            check_space(self.oracle.hyperparameters)
        return self._planner.plan(
            fit_args, fit_kwargs, classes=self._predicts_classes, seed=self.oracle.seed, tuned=tuned
        )

    def _loggers(self, verbose: Any) -> list[Logger]:
        loggers: list[Logger] = []
        if verbose not in (0, "0", False):
            from kt_suite.loggers.console import Console

            loggers.append(Console(1 if verbose in ("auto", True) else int(verbose)))
        if self.tensorboard is not None:
            from kt_suite.loggers.tensorboard import TensorBoardLogger

            loggers.append(TensorBoardLogger(self.tensorboard))
        return loggers

    # Resuming

    @property
    def project_dir(self) -> str:
        """The project directory."""
        return str(self._path)

    def save(self) -> None:
        """Does nothing: every step of a search is stored as it happens."""

    def reload(self) -> None:
        """Takes up the search that is stored in the project directory."""
        storage = self._stored()
        self.oracle.seed = storage.fact("seed", self.oracle.seed)
        self._reconcile()
        records = storage.trials()
        books.restore(self.oracle, records, storage.fact("oracle_state", {}), self.oracle.hyperparameters)

    def _reconcile(self) -> None:
        if self._storage is not None:
            today = HyperParameters.of(self.oracle.hyperparameters)
            self.oracle.hyperparameters = reconcile(self._storage.space(), today)

    def on_trial_end(self, trial: Any) -> None:
        """Called when a trial has ended and is stored. Does nothing; override it at will."""
