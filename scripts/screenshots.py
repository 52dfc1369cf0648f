"""Makes the pictures of the README: trains a small search, starts TensorBoard, and looks at the tab "Tuning".

Run: python scripts/screenshots.py [FOLDER]

It needs selenium, chromium and chromedriver, and takes a few minutes on two cores. FOLDER is docs/images by default.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WIDTH, HEIGHT = 1280, 1040
PATIENCE = 300.0  # seconds, on a busy machine
NUM_TRIALS = 32
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
# What is at the top of each picture.
PICTURES = {"tuning_leaderboard": "body", "tuning_parallel": ".parallel"}


def search(directory: Path) -> None:
    """Trains small networks on images of digits."""
    import keras
    from sklearn.datasets import load_digits

    import kt_suite as kts

    def build(hp: Any) -> Any:
        model = keras.Sequential([keras.Input((64,))])
        for index in range(hp.Int("layers", 1, 2)):
            units = hp.Int(f"units_{index}", 8, 128, sampling="log")
            model.add(keras.layers.Dense(units, hp.Choice("activation", ["relu", "tanh"])))
        model.add(keras.layers.Dropout(hp.Float("dropout", 0.0, 0.5)))
        model.add(keras.layers.Dense(10, "softmax"))
        rate = hp.Float("learning_rate", 1e-4, 1e-1, sampling="log")
        if hp.Choice("optimizer", ["adam", "sgd"]) == "sgd":
            optimizer = keras.optimizers.SGD(rate, momentum=hp.Float("momentum", 0.5, 0.99))
        else:
            optimizer = keras.optimizers.Adam(rate)
        model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
        return model

    images, labels = load_digits(return_X_y=True)
    images = images / 16
    tuner = kts.BayesianOptimization(
        build,
        objective="val_accuracy",
        max_trials=NUM_TRIALS,
        seed=0,
        directory=directory,
        project_name="digits",
        tensorboard=directory / "logs",
        pruner="median",
        keep_checkpoints=1,
    )
    validation = (images[1000:1400], labels[1000:1400])
    tuner.search(images[:1000], labels[:1000], validation_data=validation, epochs=8, batch_size=64, verbose=0)


@contextlib.contextmanager
def tensorboard(project: Path) -> Iterator[str]:
    """Starts TensorBoard on a project, and gives the address of the tab."""
    command = [sys.executable, "-m", "kt_suite", "tensorboard", str(project), "--port", "0"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield next(iter(process.stdout or ())).strip()
        finally:
            process.terminate()


@contextlib.contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """Starts a browser."""
    from selenium import webdriver

    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    if program is None or driver is None:
        sys.exit("chromium and chromedriver must be installed for this.")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        size = {"width": WIDTH, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": False}
        browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        yield browser
    finally:
        browser.quit()


def wait(is_true: Callable[[], Any], what: str) -> None:
    """Waits until something is true."""
    deadline = time.monotonic() + PATIENCE
    while not is_true():
        if time.monotonic() > deadline:
            sys.exit(f"never came: {what}")
        time.sleep(0.2)


def shoot(browser: Any, address: str, folder: Path) -> None:
    """Opens the tab, marks the best trial, and takes the pictures."""
    browser.get(address)
    frame = 'iframe[src*="plugin_entry"]'
    wait(lambda: browser.find_elements("css selector", frame), "the tab")
    browser.switch_to.frame(browser.find_element("css selector", frame))
    wait(lambda: browser.find_elements("css selector", "tr[data-trial]"), "the leaderboard")
    for name, top in PICTURES.items():
        # Drawn views take their place before the scroll that counts.
        for _ in range(2):
            browser.execute_script("document.querySelector(arguments[0]).scrollIntoView()", top)
            wait(lambda: browser.execute_script(_ARE_DRAWN), "the views")
        time.sleep(1)  # Plotly's last touches
        browser.save_screenshot(str(folder / f"{name}.png"))
        print(folder / f"{name}.png")
        browser.execute_script("document.querySelector('tr[data-trial]').click()")


_ARE_DRAWN = """
    return [...document.querySelectorAll("[data-view]")]
        .filter((one) => one.getBoundingClientRect().top < innerHeight && one.getBoundingClientRect().bottom > 0)
        .every((one) => one.dataset.drawn || one.querySelector(".note").textContent)"""


def main() -> None:
    """Makes the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images"
    folder.mkdir(parents=True, exist_ok=True)
    sys.path.insert(0, str(ROOT))
    with tempfile.TemporaryDirectory() as temporary:
        search(Path(temporary))
        with tensorboard(Path(temporary) / "digits") as address, chromium(Path(temporary) / "profile") as browser:
            shoot(browser, address, folder)


if __name__ == "__main__":
    main()
