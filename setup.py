"""The compiled engine. Everything else about the package is in pyproject.toml."""

import os
import sys

from setuptools import Extension, setup

SOURCES = ["module", "plan", "engine_baseline", "engine_avx2", "engine_avx512"]
FLAGS = ["-std=c++17", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math", "-fvisibility=hidden"]

engine = Extension(
    "sklmlp.native._engine",
    [f"sklmlp/native/src/{name}.cpp" for name in SOURCES],
    language="c++",
    extra_compile_args=["/std:c++17", "/O2"] if sys.platform == "win32" else FLAGS,
    extra_link_args=[] if sys.platform == "win32" else ["-pthread"],
    optional=True,  # without a compiler everything is computed by torch
)

setup(ext_modules=[] if os.environ.get("SKLMLP_NO_EXTENSION") == "1" else [engine])
