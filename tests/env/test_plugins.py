"""Modules of the user's own are imported by name, by path and by entry point."""

import subprocess
import sys

import pytest

from textgym import plugins
from textgym.errors import PluginError, TextGymError
from textgym.plugins import load_plugins
from textgym.rewards import REWARDS, parse_reward

REWARD = """
import textgym

@textgym.reward
def {name}(sample):
    return 1.0

textgym.register_reward("{name}", lambda: {name})
"""


@pytest.fixture(autouse=True)
def tidy_process(monkeypatch, tmp_path):
    rewards = dict(REWARDS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plugins, "_loaded", set())
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
    REWARDS.clear()
    REWARDS.update(rewards)


def test_a_module_in_the_working_directory(tmp_path):
    (tmp_path / "my_reward.py").write_text(REWARD.format(name="one_plugin"))
    assert load_plugins(["my_reward"]) == ["my_reward"]
    assert repr(parse_reward("2*one_plugin")) == "2 * reward(one_plugin)"


def test_a_module_in_a_package_and_the_path_of_a_file(tmp_path):
    (tmp_path / "my_package").mkdir()
    (tmp_path / "my_package" / "inner.py").write_text(REWARD.format(name="two_plugin"))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "my_file.py").write_text(REWARD.format(name="three_plugin"))
    assert load_plugins(["my_package.inner", "elsewhere/my_file.py"]) == ["my_package.inner", "elsewhere/my_file.py"]
    assert {"two_plugin", "three_plugin"} <= REWARDS.keys()


def test_each_is_loaded_once_per_process(tmp_path):
    (tmp_path / "counts.py").write_text("import sys\nsys.times = getattr(sys, 'times', 0) + 1\n")
    assert load_plugins(["counts", "counts"]) == ["counts"]
    assert load_plugins(["counts"]) == []
    assert sys.times == 1
    del sys.times


def test_a_module_that_is_missing():
    with pytest.raises(PluginError, match=r"'my_modul': there is no module 'my_modul' on Python's path or in /.*path"):
        load_plugins(["my_modul"])
    with pytest.raises(PluginError, match=r"'textgym.haiku': there is no module 'textgym.haiku'"):
        load_plugins(["textgym.haiku"])
    with pytest.raises(PluginError, match=r"'my_file.py': there is no such file \(looked at /"):
        load_plugins(["my_file.py"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("import no_such_library", "ModuleNotFoundError: No module named 'no_such_library'."),
        ("raise ValueError('first line\\nsecond line')", "ValueError: first line."),
        ("x =", "SyntaxError: invalid syntax"),
        ("raise KeyError", "KeyError."),
        ("import sys\nsys.exit(0)", "it ends the process when imported"),
    ],
)
def test_a_module_that_fails(tmp_path, text, message):
    (tmp_path / "broken.py").write_text(text)
    for _ in range(2):  # it was not loaded, so it fails again
        with pytest.raises(PluginError, match="Can't import 'broken'") as caught:
            load_plugins(["broken"])
        assert message in str(caught.value)
        assert "second" not in str(caught.value)
    assert isinstance(caught.value, TextGymError)
    assert isinstance(caught.value.__cause__, BaseException)


def test_a_file_whose_name_another_module_has(tmp_path):
    (tmp_path / "json.py").write_text("")
    with pytest.raises(PluginError, match=r"is a module of the same name. Rename the file"):
        load_plugins([str(tmp_path / "json.py")])


# Entry points


@pytest.fixture
def distribution(tmp_path):
    """Installs a distribution with the entry points given as lines."""
    (tmp_path / "installed_plugin.py").write_text(
        "import textgym\n"
        "calls = []\n"
        "def register():\n    calls.append(1)\n"
        "def fail():\n    raise RuntimeError('no such luck\\nat all')\n"
    )
    sys.path.insert(0, str(tmp_path))

    def install(*lines):
        folder = tmp_path / "my_plugin-1.0.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n")
        (folder / "entry_points.txt").write_text("\n".join([f"[{plugins.GROUP}]", *lines]) + "\n")

    return install


def test_entry_points_name_modules_and_functions(distribution):
    distribution("a = installed_plugin", "b = installed_plugin:register")
    assert load_plugins(installed=False) == []
    assert load_plugins() == ["a", "b"]
    assert load_plugins() == []
    assert sys.modules["installed_plugin"].calls == [1]


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("installed_plugin:fail", "RuntimeError: no such luck. Repair"),
        ("installed_plugin:nothing", "AttributeError"),
        ("no_such_module", "No module named 'no_such_module'. Repair"),
    ],
)
def test_an_entry_point_that_fails_is_named_with_its_distribution(distribution, value, message):
    distribution(f"c = {value}")
    with pytest.raises(PluginError, match=f"entry point c = '{value}' of the distribution 'my-plugin'") as caught:
        load_plugins()
    assert message in str(caught.value)


def test_importing_textgym_loads_no_plugin(distribution, tmp_path):
    distribution("a = installed_plugin")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import textgym; print('installed_plugin' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout == "False\n"
