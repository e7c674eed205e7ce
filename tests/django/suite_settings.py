"""Django's own settings for its tests, with our runner: what `runtests.py --settings=suite_settings` takes."""

from test_sqlite import *  # type: ignore[import-not-found]  # noqa: F403 - stands beside runtests.py

TEST_RUNNER = "suite_runner.Runner"
