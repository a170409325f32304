"""`condaw` as a command of the shell, with completion: for whichever project the folder is in."""

from __future__ import annotations

from collections.abc import Mapping

START = """import runpy, sys
sys.path[0] = sys.argv.pop(1)
runpy.run_module("condaw", run_name="__main__", alter_sys=True)"""

BASH = """\
condaw() {
    local root=$PWD
    while [ -n "$root" ] && [ ! -e "$root/condaw/__main__.py" ]; do root=${root%/*}; done
    [ -n "$root" ] || { echo "condaw: no project with condaw here" >&2; return 2; }
    python3 -c '@START@' "$root" "$@"
}
_condaw() {
    local words="@VERBS@"
    [ "$COMP_CWORD" -eq 1 ] || case "${COMP_WORDS[1]}" in
        @OPTIONS@
        *) words="" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
}
[ -z "$ZSH_VERSION" ] || {
    autoload -U compinit bashcompinit
    whence compdef >/dev/null || compinit
    bashcompinit
}
complete -o default -F _condaw condaw"""

FISH = """\
function condaw
    set -l root $PWD
    while test -n "$root"; and not test -e "$root/condaw/__main__.py"
        set root (string replace -r '/[^/]*$' '' $root)
    end
    test -n "$root"; or begin; echo "condaw: no project with condaw here" >&2; return 2; end
    python3 -c '@START@' "$root" $argv
end
complete -c condaw -n __fish_use_subcommand -f -a "@VERBS@"
@OPTIONS@"""


def script(shell: str, options: Mapping[str, list[str]]) -> str:
    """What `shell` has to read; `options` has the long options of each command."""
    if shell == "fish":
        text, separator = FISH, "\n"
        lines = [
            f"complete -c condaw -n '__fish_seen_subcommand_from {verb}' -l {option[2:]}"
            for verb in options
            for option in options[verb]
        ]
    else:
        text, separator = BASH, "\n        "
        lines = [f'{verb}) words="{" ".join(options[verb])}" ;;' for verb in options]
    text = text.replace("@START@", START).replace("@VERBS@", " ".join(options))
    return text.replace("@OPTIONS@", separator.join(lines))
