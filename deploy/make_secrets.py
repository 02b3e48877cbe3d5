"""Makes the secrets that compose.yaml hands to its services, once: python3 deploy/make_secrets.py [FOLDER].

Needs nothing but Python. What is there already stays. Mosquitto's password file holds PBKDF2-SHA512 digests in the
form of `mosquitto_passwd` ($7$).
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import sys
from pathlib import Path

ROUNDS = 101
"""As `mosquitto_passwd` has it; the passwords are random and long."""
KEYS = ("api_key", "vllm_key", "mqtt_password", "robot_password", "grafana_password")
USERS = {"agent": "mqtt_password", "robot-R1": "robot_password"}


def mosquitto_line(user: str, password: str) -> str:
    """Give a user's line of a password file."""
    salt = secrets.token_bytes(12)
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, ROUNDS)
    return f"{user}:$7${ROUNDS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}\n"


def make(folder: Path) -> None:
    """Write what is missing. The folder is the owner's alone; the containers' users must be able to read the files."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in KEYS:
        if not (folder / name).exists():
            (folder / name).write_text(secrets.token_hex(24) + "\n")
    passwords = folder / "mqtt_passwords"
    if not passwords.exists():
        lines = (mosquitto_line(user, (folder / name).read_text().strip()) for user, name in USERS.items())
        passwords.write_text("".join(lines))


if __name__ == "__main__":
    make(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent / "secrets")
