"""The compiled engine. Everything else about the package is in pyproject.toml."""

import os
import platform
import sysconfig
from concurrent.futures import ThreadPoolExecutor
from glob import glob
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FLAGS = ["-std=c++17", "-O3", "-g0", "-fvisibility=hidden"]
FLAGS += ["-ffp-contract=fast", "-fno-math-errno", "-fno-trapping-math"]  # NaN and infinity stay

# The same code for each instruction set, to be chosen from at run time. These sources are linked
# last (setuptools sorts), so that of what the standard library puts into each the plain is taken.
AVX2 = ["-mavx2", "-mfma"]
AVX512 = [*AVX2, "-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mprefer-vector-width=512"]
FLAGS_OF = {"x86_avx2": AVX2, "x86_avx512": AVX512}


class BuildEngine(build_ext):
    def build_extension(self, extension):
        """Compile each source with the flags of its own, and as many at once as there are cores."""
        compile_all, compile_one = self.compiler.compile, self.compiler._compile
        is_x86 = platform.machine().lower() in ("x86_64", "amd64")

        def compile_together(*args, **kwargs):
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                jobs = []

                def start(obj, source, ext, cc_args, flags, pp_opts):
                    own = FLAGS_OF.get(Path(source).stem, []) if is_x86 else []
                    flags = [*flags, *own]
                    jobs.append(pool.submit(compile_one, obj, source, ext, cc_args, flags, pp_opts))

                self.compiler._compile = start  # of compilers with Unix's options; MSVC has none
                objects = compile_all(*args, **kwargs)
                for job in jobs:
                    job.result()
            return objects

        self.compiler.compile = compile_together
        super().build_extension(extension)


# One build for this version of Python and those that follow, where the interpreter has its lock.
stable = {} if sysconfig.get_config_var("Py_GIL_DISABLED") else {"py_limited_api": True}
macros = [("Py_LIMITED_API", "0x030B0000")] if stable else []

engine = Extension(
    "sklmlp.native._engine",
    sorted(glob("sklmlp/native/src/*.cpp")),
    depends=sorted(glob("sklmlp/native/src/*.hpp")),
    language="c++",
    define_macros=macros,
    extra_compile_args=FLAGS,
    extra_link_args=["-pthread"],
    optional=os.environ.get("SKLMLP_NEED_EXTENSION") != "1",  # torch does without a compiler
    **stable,
)

built = [] if os.environ.get("SKLMLP_NO_EXTENSION") == "1" else [engine]
setup(
    ext_modules=built,
    cmdclass={"build_ext": BuildEngine},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if built and stable else {},
)
