"""Without sb3-contrib everything else works, and its algorithms say what to install."""

from tests.processes import run_python

NAMES = {"trpo": "TRPO", "maskable_ppo": "MaskablePPO", "qrdqn": "QRDQN", "ars": "ARS"}


def test_without_sb3_contrib_the_table_works_and_the_error_says_what_to_install(tmp_path):
    code = (
        "import sys\n"
        "for name in [*sys.modules]:\n"  # a fork of a process that has imported them
        "    if name.partition('.')[0] in ('textgym_agents', 'sb3_contrib'): del sys.modules[name]\n"
        "sys.modules['sb3_contrib'] = None\n"
        "import textgym_agents\n"
        "assert 'nlpo' in textgym_agents.ALGORITHMS\n"
        "textgym_agents.make('rloo', 'textgym/Copy-v0', n_envs=2)\n"
        f"for name in {list(NAMES)}:\n"
        "    try: textgym_agents.make(name, 'textgym/Copy-v0', n_envs=2)\n"
        "    except ImportError as error: print(type(error).__name__, error)\n"
    )
    done = run_python(["-c", code], tmp_path)
    assert done.returncode == 0, done.stderr
    printed = done.stdout
    for line, name in zip(printed.splitlines(), NAMES.values(), strict=True):
        assert line.startswith(f"MissingExtraError {name}")
        assert "pip install 'sb3-contrib>=2.7'" in line
