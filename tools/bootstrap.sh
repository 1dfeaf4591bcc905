#!/bin/sh
# Makes .venv and installs the project into it; touches nothing when what is installed is current.
# Usage: tools/bootstrap.sh runtime|dev
# PYTHON=<interpreter> chooses the interpreter. Without uv on PATH, python -m venv and pip do the work.
# No package index is named here: pip and uv use the one they are configured with.
set -eu

cd "$(dirname "$0")/.."
venv=.venv
wanted=${1:-runtime}

say() { echo "opsconsole: $*" >&2; }

case $wanted in
  runtime) groups="" ;;
  dev) groups="--group dev" ;;
  *) say "usage: tools/bootstrap.sh runtime|dev"; exit 2 ;;
esac

# Content, not times: a checkout gives every file a new time. The path, because an environment does not survive a move.
fingerprint() { cksum pyproject.toml constraints.txt tools/bootstrap.sh; pwd; }

version_of() { "$1" -c 'import sys; print(*sys.version_info[:3])' 2>/dev/null; }

is_as_asked() { [ -z "${PYTHON:-}" ] || [ "$(version_of "$venv/bin/python")" = "$(version_of "$PYTHON")" ]; }

is_current() { # a development environment serves the runtime too
  for stamp in "$venv/.installed-$wanted" "$venv/.installed-dev"; do
    if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$(fingerprint)" ] && [ -n "$(version_of "$venv/bin/python")" ]; then
      is_as_asked && return 0
    fi
  done
  return 1
}

is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

is_complete() { "$1" -c 'import sqlite3, ssl' >/dev/null 2>&1; }

can_make_venv() { [ -n "$uv" ] || "$1" -c 'import ensurepip, venv' >/dev/null 2>&1; }

is_reusable() {
  is_new_enough "$venv/bin/python" && is_complete "$venv/bin/python" && is_as_asked &&
    { [ ! -f "$venv/.home" ] || [ "$(cat "$venv/.home")" = "$(pwd)" ]; }
}

# Sets python to the first usable interpreter, and incomplete to the first that only lacks a module.
find_python() {
  python="" incomplete=""
  for candidate in ${PYTHON:+"$PYTHON"} python3.13 python3.12 python3.11 python3.14 python3 python; do
    if is_new_enough "$candidate"; then
      if is_complete "$candidate" && can_make_venv "$candidate"; then
        python=$candidate
        return
      fi
      incomplete=${incomplete:-$candidate}
    fi
    [ -z "${PYTHON:-}" ] || return 0
  done
}

refuse_for_want_of_python() {
  if [ -n "$incomplete" ]; then
    say "$incomplete is new enough but incomplete: it needs the modules venv, ensurepip, sqlite3 and ssl."
    say "On Debian and Ubuntu: apt install python3-venv. Elsewhere: install a complete Python, or uv."
  elif [ -n "${PYTHON:-}" ]; then
    say "PYTHON=$PYTHON does not run, or is older than Python 3.11."
  else
    say "found no Python 3.11 or newer on PATH (looked for python3.11 to python3.14, python3 and python)."
    say "Install one, or name one: make PYTHON=/path/to/python3.12 ..."
  fi
  exit 1
}

make_venv() {
  if [ -e "$venv" ] && [ ! -f "$venv/pyvenv.cfg" ]; then
    say "$venv exists and is not a Python environment; move it away first."
    exit 1
  fi
  find_python
  if [ -z "$python" ] && [ -n "$uv" ] && [ -z "${PYTHON:-}" ]; then
    python=">=3.11" # uv knows where else to look, and can install one
  fi
  [ -n "$python" ] || refuse_for_want_of_python
  rm -rf "$venv"
  if [ -n "$uv" ]; then
    say "making $venv with uv and $python"
    "$uv" venv --quiet --no-project --python "$python" "$venv" || refuse_for_want_of_python
  else
    say "making $venv with $python"
    "$python" -m venv "$venv"
  fi
  pwd >"$venv/.home"
}

install_with_uv() {
  # shellcheck disable=SC2086  # groups is a list of words
  "$uv" pip install --quiet --python "$venv/bin/python" -c constraints.txt -e . $groups
}

install_with_pip() {
  if ! "$venv/bin/python" -m pip --version >/dev/null 2>&1; then
    "$venv/bin/python" -m ensurepip --upgrade >/dev/null
  fi
  "$venv/bin/python" -m pip install -qq --upgrade "pip>=25.1" # the first that knows --group
  # shellcheck disable=SC2086  # groups is a list of words
  "$venv/bin/python" -m pip install -qq -c constraints.txt -e . $groups
}

is_current && exit 0

# Settings that send packages elsewhere than into the environment would break it.
PIP_USER=0
export PIP_USER
unset PIP_TARGET PIP_PREFIX PYTHONHOME || true

uv=$(command -v uv || true)
is_reusable || make_venv
rm -f "$venv"/.installed-*
say "installing into $venv ($wanted); the first time takes a minute"
if [ -z "$uv" ]; then
  install_with_pip
elif ! install_with_uv; then
  say "uv could not install; trying pip, which may be configured for another index"
  install_with_pip
fi
fingerprint >"$venv/.installed-$wanted"
