"""Tries an installed gateway, from a folder that has nothing else in it: commands, recipes, and a sign-in at its demo.

python try_installed.py VERSION, with the Python that it is installed in.
"""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx

import gateway
from gateway.simulator import consent

COMMAND = Path(sys.executable).with_name("gateway")
SETTINGS = {
    "GATEWAY_SECRET_KEY": "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8s9T0u1V",
    "TIKTOK_CLIENT_KEY": "k",
    "TIKTOK_CLIENT_SECRET": "s",
}


def run(*words: str) -> str:
    """Run a command that must end well; returns what it prints."""
    done = subprocess.run([COMMAND, *words], env=os.environ | SETTINGS, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"gateway {' '.join(words)}: {done.stderr}"
    return done.stdout


def try_recipes() -> int:
    """Write every recipe, and check the settings among them; returns how many files there are."""
    names = [line.split()[0] for line in run("recipe").splitlines()]
    written = [line for name in names for line in run("recipe", name, "--output", f"recipes/{name}").splitlines()]
    assert Path("recipes/compose/.env.example").exists()
    for name in ("minimal", "example"):
        run("check", "-c", f"recipes/{name}/gateway.{name}.yaml")
    assert json.loads(run("recipe", "schema")) == json.loads(run("schema"))
    return len(written)


def sign_in(address: str) -> str:
    """Sign in as a browser would; returns the app's page."""
    navigation = {"accept": "text/html", "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    with httpx.Client(base_url=address, headers=navigation, trust_env=False, timeout=30) as browser:
        begun = browser.get("/")
        assert begun.status_code == 302, begun.text
        returned = browser.get(consent(begun.headers["location"]))
        assert returned.status_code == 302, returned.text
        page = browser.get(returned.headers["location"])
        assert page.status_code == 200, page.text
        return page.text


def try_demo() -> None:
    """Start the demo, and sign in."""
    demo = subprocess.Popen(
        [COMMAND, "demo", "--port", "0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    assert demo.stdout is not None
    try:
        address = next(found[1] for line in demo.stdout if (found := re.search(r"Open (http://\S+)", line)))
        assert "Hello" in sign_in(address)
    finally:
        demo.send_signal(signal.SIGINT)
        demo.wait(timeout=30)
    assert demo.returncode == 0, demo.returncode


def main() -> None:
    """Try all of it."""
    assert Path(sys.prefix) in Path(gateway.__file__).parents, f"this is not what was installed: {gateway.__file__}"
    assert run("--version").strip() == sys.argv[1]
    files = try_recipes()
    try_demo()
    print(f"gateway {sys.argv[1]} on Python {sys.version.split()[0]}: commands, {files} files of recipes, a sign-in")


if __name__ == "__main__":
    main()
