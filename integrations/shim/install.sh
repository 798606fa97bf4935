#!/bin/sh
# Installs `remember`, the part of Remembrancer that runs beside an agent. Read it, then:
#
#   curl -fsS @SERVER@/install | REMEMBRANCER_KEY=rmb_... sh -s -- claude-code
#
# Agents: claude-code, codex, cursor, gemini; without a name, those that are found here.
# Writes  ~/.local/share/remembrancer/remember.py   the program, one file of Python
#         ~/.local/bin/remember                     a command that starts it
#         ~/.config/remembrancer/config.json        address and key, for nobody else to read
# and, with a backup, the configuration of those agents: `remember uninstall` takes it out again.
# Linux and macOS; needs Python 3.9 or newer and curl. Not for Windows.
set -eu

main() {
    server='@SERVER@'
    sha256='@SHA256@'
    home=${HOME:?is not set}
    share="$home/.local/share/remembrancer"
    bin="$home/.local/bin"

    command -v python3 >/dev/null || fail "needs Python 3.9 or newer, as python3"
    python3 -c 'import os, sys; sys.exit(sys.version_info < (3, 9) or os.name != "posix")' ||
        fail "needs Python 3.9 or newer on Linux or macOS"
    case "$server" in
        https://* | http://localhost* | http://127.* | http://\[::1\]*) ;;
        *) [ "${REMEMBRANCER_ALLOW_HTTP:-}" = 1 ] || fail "$server is not https: the key would" \
            "cross the network in the clear. On one that you trust: REMEMBRANCER_ALLOW_HTTP=1" ;;
    esac

    # Standard input is this script: without the variable the key is asked for at the terminal.
    [ -n "${REMEMBRANCER_KEY:-}" ] || (: </dev/tty) 2>/dev/null ||
        fail "set REMEMBRANCER_KEY: there is no terminal to ask at"

    mkdir -p "$share" "$bin"
    new="$share/remember.py.$$"
    trap 'rm -f "$new"' EXIT
    curl -fsS --max-time 60 -o "$new" "$server/install/remember.py"
    got=$(python3 -c 'import hashlib, sys; print(hashlib.sha256(open(sys.argv[1], "rb").read()).hexdigest())' "$new")
    [ "$got" = "$sha256" ] || fail "what was downloaded is not what this script is for ($got)"
    mv "$new" "$share/remember.py"
    # Imported by this it is compiled once, not at each hook.
    printf 'import remember\n\nremember.start()\n' >"$share/__main__.py"
    printf '#!/bin/sh\nexec python3 -I "%s" "$@"\n' "$share" >"$bin/remember"
    chmod 755 "$bin/remember" "$share/remember.py"

    if [ -n "${REMEMBRANCER_KEY:-}" ]; then
        printf '%s\n' "$REMEMBRANCER_KEY" | remember config --url "$server" --key - $insecure
    else
        remember config --url "$server" $insecure </dev/tty
    fi
    unset REMEMBRANCER_KEY
    remember install "$@"
    remember doctor
    case ":$PATH:" in
        *":$bin:"*) ;;
        *) echo "Put $bin into your PATH to have \`remember\` as a command." ;;
    esac
}

remember() {
    python3 -I "$share" "$@"
}

fail() {
    echo "install: $*" >&2
    exit 1
}

insecure=
[ "${REMEMBRANCER_ALLOW_HTTP:-}" = 1 ] && insecure=--allow-http
# The last line: of a script that was cut off nothing is done.
main "$@"
