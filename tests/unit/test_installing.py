"""What deploy/installing.sh promises to the scripts that source it."""

import hashlib
import os
import subprocess

INSTALLING = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "deploy", "installing.sh")


def bash(directory, code):
    environment = os.environ | {"WEIR_PREFIX": f"{directory}/prefix"}
    return subprocess.run(["bash", "-euo", "pipefail", "-c", f". {INSTALLING}\n{code}"], cwd=directory, env=environment,
                          capture_output=True, text=True, check=False)


def test_a_file_whose_hash_is_pinned_passes(tmp_path):
    (tmp_path / "a.tgz").write_bytes(b"right")
    (tmp_path / "hashes").write_text(f"# algorithm, hash, file\nsha256 {hashlib.sha256(b'right').hexdigest()} a.tgz\n")
    assert bash(tmp_path, "check_hash hashes a.tgz").returncode == 0


def test_another_file_stops_and_names_itself_and_both_hashes(tmp_path):
    (tmp_path / "a.tgz").write_bytes(b"wrong")
    (tmp_path / "hashes").write_text(f"sha512 {hashlib.sha512(b'right').hexdigest()} a.tgz\n")
    done = bash(tmp_path, "check_hash hashes a.tgz; echo went on")
    assert done.returncode == 1 and "went on" not in done.stdout
    for word in ("a.tgz", hashlib.sha512(b"right").hexdigest(), hashlib.sha512(b"wrong").hexdigest()):
        assert word in done.stderr


def test_a_file_without_a_pinned_hash_stops(tmp_path):
    (tmp_path / "a.tgz").write_bytes(b"any")
    (tmp_path / "hashes").write_text("sha256 00 other.tgz\n")
    done = bash(tmp_path, "check_hash hashes a.tgz")
    assert done.returncode == 1 and "no hash is pinned for a.tgz" in done.stderr


def test_an_interrupted_part_counts_as_not_there_and_its_rest_is_removed(tmp_path):
    assert bash(tmp_path, 'open_prefix; echo half > "$work/part"; kill -KILL $$').returncode == -9
    assert (tmp_path / "prefix/.staging/part").exists()
    done = bash(tmp_path, 'open_prefix; ! has part; ls -A "$work"; stamp part; has part')
    assert (done.returncode, done.stdout) == (0, "")
    assert not (tmp_path / "prefix/.staging").exists()
