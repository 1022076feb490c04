//! Finds out which Python this is built for: the runtime answers discovery from these facts, and
//! starts the interpreter by them instead of looking for one in `PATH`.

use std::process::Command;

/// Prints one fact a line. Isolated, so that the environment of the build does not leak in.
const FACTS: &str = "
import os, sys, sysconfig
print('%d.%d.%d' % sys.version_info[:3])
print(getattr(sys, '_base_executable', sys.executable) or sys.executable)
prefix, exec_prefix = sys.base_prefix, sys.base_exec_prefix
print(prefix if prefix == exec_prefix else prefix + os.pathsep + exec_prefix)
print(0 if sysconfig.get_config_var('Py_ENABLE_SHARED') else 1)
paths = [os.path.realpath(path) for path in sys.path if os.path.isdir(path)]
stdlib = os.path.realpath(os.path.dirname(os.__file__))
paths = [stdlib] + [path for path in paths if path != stdlib]
kept = []
for path in paths:
    if not any((path + '/').startswith(other + '/') for other in kept):
        kept.append(path)
print(os.pathsep.join(kept))
";

fn main() {
    pyo3_build_config::use_pyo3_cfgs();
    // A libpython that ld.so does not know is found where it was linked.
    pyo3_build_config::add_libpython_rpath_link_args();
    let executable = pyo3_build_config::get().executable().map(str::to_owned);
    let executable = executable.unwrap_or_else(|| "python3".to_owned());
    let output = match Command::new(&executable).args(["-I", "-c", FACTS]).output() {
        Ok(output) if output.status.success() => output,
        Ok(output) => panic!("{executable} does not run: {}", output.status),
        Err(error) => panic!("{executable} does not run: {error}"),
    };
    let text = String::from_utf8(output.stdout).expect("paths of a Python are text");
    let names = ["VERSION", "EXECUTABLE", "HOME", "STATIC", "PATHS"];
    let mut is_static = false;
    for (name, fact) in names.into_iter().zip(text.lines()) {
        println!("cargo:rustc-env=UNIT_PYTHON_{name}={fact}");
        is_static |= name == "STATIC" && fact == "1";
    }
    if is_static {
        // C modules take the interpreter's symbols from the executable.
        println!("cargo:rustc-link-arg-bins=-rdynamic");
        println!("cargo:rustc-link-arg-tests=-rdynamic");
    }
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=PYO3_PYTHON");
}
