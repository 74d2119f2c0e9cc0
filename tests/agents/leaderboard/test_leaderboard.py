"""The page of a benchmark's results, and what their file has to pass."""

import gzip
import json
import re
from html.parser import HTMLParser

import pytest
from typer.testing import CliRunner

from tests.agents.benchmark.made_lines import COPY, line, probe_suite, text_suite
from textgym.errors import ConfigError
from textgym_agents.benchmark import run as running
from textgym_agents.benchmark.analysis.fronts import Front, Overoptimization
from textgym_agents.benchmark.pack import pack
from textgym_agents.benchmark.pictures import ends_of_variants, fronts
from textgym_agents.cli.app import app
from textgym_agents.cli.benchmark import config_of
from textgym_agents.leaderboard.check import problems, score_of
from textgym_agents.leaderboard.page import page
from textgym_agents.leaderboard.results import load
from textgym_agents.report.numbers import Estimate

PASSWORD = ["textgym/Password-v0[length=2]", "textgym/Password-v0[length=5]"]
BANDIT, CREDIT = "textgym/Bandit-v0[arms=2]", "textgym/Credit-v0[delay=7]"
PROBES = {
    PASSWORD[0]: {"ppo": 0.9, "bc": 0.2, "random": 0.0},
    PASSWORD[1]: {"ppo": 0.1, "bc": 0.1, "random": 0.0},
    BANDIT: {"ppo": 0.9, "bc": 0.8, "random": 0.0},
    CREDIT: {"ppo": 0.9, "bc": 0.1, "random": 0.0},
}


def write(path, runs):
    text = "".join(json.dumps(run) + "\n" for run in runs)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


class Tags(HTMLParser):
    """Checks that elements are closed in order, and keeps what they hold."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.links = [], [], []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        self.links += [value for name, value in attributes if name in ("src", "href")]
        if tag not in ("meta", "input"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.fixture(scope="module")
def pages(tmp_path_factory):
    folder = tmp_path_factory.mktemp("results")
    text = text_suite({"ppo": 0.55, "bc": 0.4, "grpo": 0.6}, seeds=3)
    gold = [{"timesteps": i, "kl": float(i), "reward": i / 8, "gold": 4.0 - abs(i - 4)} for i in range(9)]
    text += [line("rloo", COPY, seed, sampled=[0.5] * 40, before=[0.3] * 40, front=gold) for seed in range(3)]
    text.append({"algo": "dqn", "task": COPY, "seed": 0, "error": "ValueError: <no>", "command": ""})
    probe = probe_suite(PROBES, seeds=3)
    for one in probe:
        one["command"] = one["command"].replace("--suite text", "--suite probe")
    paths = [write(folder / "text-v1.jsonl.gz", text), write(folder / "probe.jsonl", probe)]
    return page([load(path) for path in paths]), paths


def test_the_page_has_every_section_and_loads_nothing(pages):
    html = pages[0]
    titles = re.findall(r"<h[23][^>]*>(.*?)</h[23]>", html)
    for title in ("Each task", "Copy", "Headroom", "Discrimination", "All tasks", "Learning", "Costs", "Password",
                  "Reward against KL", "Proxy and gold", "Failed runs", "What an algorithm can and can&#x27;t do",
                  "Why", "Samples"):  # fmt: skip
        assert title in titles, title
    assert titles.index("Copy") < titles.index("All tasks")
    found = Tags(html)
    assert all(link.startswith("#") for link in found.links)
    anchors = {attributes["id"] for _, attributes in found.seen if "id" in attributes}
    assert {link[1:] for link in found.links} <= anchors
    assert not re.search(r"url\(|@import|fetch\(", html)
    assert "<no>" not in html
    assert "Say | &lt;it&gt;:" in html
    assert page([load(path) for path in pages[1]]) == html


def test_tables_sort_by_numbers(pages):
    found = Tags(pages[0]).seen
    values = [attributes["data-v"] for tag, attributes in found if tag == "td" and "n" in attributes["class"].split()
              and "data-v" in attributes]  # fmt: skip
    assert len(values) > 100
    assert all(isinstance(float(value), float) for value in values)
    assert pages[0].count('aria-sort="none"') > 50


def test_reasons_follow_from_the_probes(pages):
    html = pages[0]
    assert "It gets 0.11 on Password length=2" not in html  # ppo can do that one
    reason = re.search(r'data-algo="bc">(?:(?!</tr>).)*It gets 0.11 on Credit delay=7: the words in between', html)
    assert reason
    assert re.search(r'data-algo="ppo">(?:(?!</tr>).)*It does up to Bandit arms=2: it can learn the best', html)


def test_a_file_that_is_right_has_no_problems(tmp_path):
    good = line(model="mine", config_hash="a")
    assert problems(load(write(tmp_path / "results.jsonl", [good]))) == []


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda run: run["evaluations"]["sampled"]["summary"].update(reward=0.9), "says a reward of 0.9"),
        (lambda run: run["evaluations"]["greedy"]["per_prompt"]["reward"].append(1.0), "greedy has 3 prompts"),
        (lambda run: run["evaluations"]["sampled"]["summary"].update(length=3.0), "says length 3.0"),
        (lambda run: run.pop("costs"), "it has no costs"),
        (lambda run: run.update(model="textgym/tiny"), "The model 'textgym/tiny' has the hash"),
        (lambda run: run.update(task=PASSWORD[0], score=0.9), "score is 0.9, its reward gives 0.34"),
    ],
)
def test_what_was_changed_by_hand_is_noticed(tmp_path, change, problem):
    run = line(model="mine", config_hash="a")
    run["evaluations"]["sampled"]["per_prompt"]["length"] = {"kind": "mean", "rows": [1.0, 2.0]}
    change(run)
    assert any(problem in one for one in problems(load(write(tmp_path / "results.jsonl", [run]))))


def test_lines_of_one_run_are_counted_once(tmp_path):
    loaded = load(write(tmp_path / "results.jsonl", [line(kl=1.0), line(kl=2.0)]))
    assert [run["kl"] for run in loaded.runs] == [2.0]
    assert "1 lines are of runs" in problems(loaded)[0]


def test_scores_of_probes_are_recomputed():
    assert score_of("textgym/Password-v0[length=2]", 1.0) == 1
    assert score_of("textgym/Password-v0[length=2]", 0.0875) == 0
    assert score_of(COPY, 0.5) is None


@pytest.mark.parametrize("text", ["", "{}\n", "no\n", '{"algo": 1}\n'])
def test_files_that_are_no_results(tmp_path, text):
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"no runs|expected a run"):
        load(path)
    with pytest.raises(ConfigError, match="no results"):
        load(tmp_path / "nothing")


def test_the_command(tmp_path):
    write(tmp_path / "results.jsonl", [line("ppo", config_hash="a"), line("bc", config_hash="b")])
    out = tmp_path / "new" / "page.html"
    done = CliRunner().invoke(app, ["leaderboard", str(tmp_path), "--out", str(out)])
    assert done.exit_code == 0, done.output
    assert out.read_text().startswith("<!doctype html>")
    assert CliRunner().invoke(app, ["leaderboard", str(tmp_path)]).exit_code == 1


def test_a_real_run_is_checked_and_repeated(tmp_path):
    options = ["--tasks", "Bandit[arms=2]", "--model", "textgym/tiny", "--timesteps", "64", "--seeds", "1"]
    config = config_of(" ".join(["textgym", "benchmark", "--algos", "rloo", "--eval-prompts", "4", *options]))
    run = running.run(config, config.run_keys()[0])
    path = tmp_path / "probe-v1.jsonl.gz"
    pack([run], path)
    command = ["leaderboard", str(path), "--check", "--rerun", "1"]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert "1 runs, nothing differs" in done.output
    assert "rloo Bandit[arms=2] seed 0, again\n" in done.output
    assert done.output.endswith("  equal\n")
    write(path, [{**run, "config_hash": "0" * 16}])
    assert "its command gives" in CliRunner().invoke(app, command).output
    write(path, [{**run, "kl": 7.0}])
    assert "kl is" in CliRunner().invoke(app, command).output


def test_pictures_of_a_few_algorithms(pages, tmp_path):
    text, probe = pages[1]
    command = ["leaderboard", str(text), str(probe), "--pictures", str(tmp_path), "--algos"]
    done = CliRunner().invoke(app, [*command, "ppo,bc"])
    assert done.exit_code == 0, done.output
    radar, fronts = ((tmp_path / f"{name}.svg").read_text() for name in ("probe-radar", "text-fronts"))
    assert radar.count("<svg") == 3
    assert ">initial model, tempered<" in fronts
    assert ">ppo<" in fronts
    assert ">grpo<" not in fronts
    for wrong in ("nobody", ",".join(["ppo"] * 8)):
        assert CliRunner().invoke(app, [*command, wrong]).exit_code == 1
    panels = fronts.count('class="title"')
    one = ["leaderboard", str(text), "--pictures", str(tmp_path), "--algos", "ppo", "--tasks"]
    assert CliRunner().invoke(app, [*one, "Copy"]).exit_code == 0
    assert 1 == (tmp_path / "text-fronts.svg").read_text().count('class="title"') < panels
    missing = CliRunner().invoke(app, [*one, "Cops"])
    assert missing.exit_code == 1
    assert "no runs on 'Cops'" in missing.stderr


def test_variants_end_in_one_picture_by_their_kl():
    def variant(algo, *runs):
        return Overoptimization(algo, "a/X-v0", [list(run) for run in runs], 0.0, [], 0.0, 0.0)

    start = (0.0, 0.5, 0.1)
    found = [
        variant("ppo[kl_coef=0]", [start, (3.0, 1.1, 0.4), (9.0, 2.0, 0.0)]),
        variant("ppo[kl_target=4]", [start, (4.0, 1.2, 0.3)], [start, (4.4, 1.4, 0.5)]),
        variant("ppo[kl_target=1]", [start, (1.0, 0.8, 0.2)]),
        variant("rloo", [start, (1.0, 0.8, 0.2)]),  # alone
    ]
    (panel,) = ends_of_variants(found)
    assert ">ppo, a/X-v0: at the end<" in panel
    proxy, gold = re.findall(r'<title>(?:proxy|gold)</title><polyline class="s." points="([^"]+)"', panel)
    places = [[tuple(map(float, at.split(","))) for at in re.findall(r"[\d.]+,[\d.]+", one)] for one in (proxy, gold)]
    assert all(len(one) == 4 and one == sorted(one) for one in places)  # the initial model first, then by KL
    assert places[0][-1][1] < places[0][0][1] < places[1][0][1]  # y grows downwards
    assert ends_of_variants(found[3:]) == []


def test_an_algorithm_has_one_color_in_all_fronts():
    def front(algo, task, area):
        return Front(algo, task, [[(0.0, 0.1), (1.0, area)]], Estimate(area, area, area), 1.0)

    by_task = {
        "a/X-v0": [front("ppo", "a/X-v0", 0.9), front("rloo", "a/X-v0", 0.5)],
        "a/Y-v0": [front("rloo", "a/Y-v0", 0.6), front("ppo", "a/Y-v0", 0.4)],
    }
    for together in (False, True):
        legends = [re.findall(r">(ppo|rloo)<", panel) for panel in fronts(by_task, together=together)]
        assert [list(dict.fromkeys(names)) for names in legends] == [
            ["ppo", "rloo"]
        ] * 2  # colors are in the order of the legend
