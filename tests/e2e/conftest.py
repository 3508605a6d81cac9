"""A real headless Chromium from the npm registry, unpacked once into the build folder."""

import fcntl
import hashlib
import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LISTED = ROOT / "tests" / "browser"
ARGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
]


def browser_home():
    """Folder with the packages of the lock file, the unpacked Chromium and the libraries a bare machine lacks."""
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(
            "SKIPPED LOUDLY: no npm on PATH, so no headless Chromium: the HTML report was not tried in a browser"
        )
    brotli = pytest.importorskip(
        "brotli", reason="SKIPPED LOUDLY: brotli is missing (extra test): Chromium stays packed"
    )
    lock = LISTED / "package-lock.json"
    home = ROOT / "build" / "browser" / hashlib.sha256(lock.read_bytes()).hexdigest()[:12]
    home.mkdir(parents=True, exist_ok=True)
    with (home / ".lock").open("w") as waiting:  # one worker unpacks, the others wait
        fcntl.flock(waiting, fcntl.LOCK_EX)
        if not (home / "ready").exists():
            for name in ("package.json", "package-lock.json"):
                shutil.copyfile(LISTED / name, home / name)
            asked = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            done = subprocess.run(asked, cwd=home, capture_output=True, text=True, timeout=240)
            if done.returncode:
                pytest.skip(f"SKIPPED LOUDLY: npm ci failed, so no headless Chromium: {done.stderr[-400:]}")
            packed = home / "node_modules" / "@sparticuz" / "chromium" / "bin"
            binary = home / "chromium"
            binary.write_bytes(brotli.decompress((packed / "chromium.br").read_bytes()))
            binary.chmod(0o755)
            with tarfile.open(fileobj=io.BytesIO(brotli.decompress((packed / "al2023.tar.br").read_bytes()))) as tar:
                tar.extractall(home / "al2023", filter="data")
            (home / "ready").touch()
    return home


def missing_libraries(binary):
    """Whether the machine lacks shared libraries that the browser needs."""
    found = subprocess.run(["ldd", str(binary)], capture_output=True, text=True)
    return "not found" in found.stdout


@pytest.fixture(scope="module")  # not the session: while it runs, asyncio.run fails in this thread
def browser():
    """A running Chromium."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="SKIPPED LOUDLY: playwright is missing (extra test): no browser was started"
    )
    home = browser_home()
    env = dict(os.environ)
    if missing_libraries(home / "chromium"):
        carried = next(p.parent for p in sorted((home / "al2023").rglob("libnss3.so")))
        env["LD_LIBRARY_PATH"] = f"{carried}:{env.get('LD_LIBRARY_PATH', '')}".rstrip(":")
    with playwright.sync_playwright() as p:
        running = p.chromium.launch(executable_path=str(home / "chromium"), args=ARGS, env=env)
        yield running
        running.close()


@pytest.fixture(scope="session")
def axe():
    """Source of the accessibility checker."""
    return (browser_home() / "node_modules" / "axe-core" / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def viewer():
    """Source of the viewer of mutation reports."""
    found = browser_home() / "node_modules" / "mutation-testing-elements" / "dist" / "mutation-test-elements.js"
    return found.read_text(encoding="utf-8")
