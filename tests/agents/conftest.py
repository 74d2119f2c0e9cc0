"""Fixtures for the agents' tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from tiny_models import SMALL, tiny_model


@pytest.fixture(params=["gpt2", "llama", "gpt_neox"])
def model(request):
    return tiny_model(request.param)


@pytest.fixture
def small_env():
    """Arguments that keep Copy's episodes short."""
    return dict(SMALL)
