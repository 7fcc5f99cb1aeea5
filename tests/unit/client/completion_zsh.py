"""What zsh offers for a command line: typed into a zsh on a terminal, with a tab behind it. completion_zsh.py SCRIPT WORD..."""
import os, pty, re, select, sys, tempfile, time

script, words = sys.argv[1], sys.argv[2:]
folder = tempfile.mkdtemp()
with open(script) as source, open(f"{folder}/_holdfast", "w") as copy:
    copy.write(source.read())
SETUP = f"""PS1=; unsetopt zle_bracketed_paste; fpath=({folder} $fpath); autoload -Uz compinit; compinit -D -u
zstyle ':completion:*' list-colors ''; zstyle ':completion:*' verbose no; LISTMAX=100000
offered() {{ compadd() {{ local -a got; builtin compadd -A got -O got "$@"; print -r -l -- $got >&9; builtin compadd "$@" }}; _main_complete; unfunction compadd; print -r -- END >&9 }}
zle -C offered complete-word offered; bindkey '^I' offered; exec 9>{folder}/out; print READY
"""
pid, terminal = pty.fork()
if pid == 0:
    os.environ["TERM"] = "dumb"
    os.execvp("zsh", ["zsh", "-f", "-i"])


def until(mark, seconds=20):
    seen, end = "", time.monotonic() + seconds
    while mark not in seen:
        if time.monotonic() > end or not select.select([terminal], [], [], max(0, end - time.monotonic()))[0]:
            sys.exit(f"zsh has not come to {mark!r}: {seen}")
        seen += os.read(terminal, 65536).decode(errors="replace")


os.write(terminal, SETUP.encode())
until("\nREADY")
os.write(terminal, ("holdfast " + " ".join(words) + "\t").encode())
end, said = time.monotonic() + 20, ""
while "END" not in said.split("\n"):
    if time.monotonic() > end:
        sys.exit("zsh offers nothing: " + said)
    select.select([terminal], [], [], 0.05)  # what it draws is of no interest
    said = open(f"{folder}/out").read() if os.path.exists(f"{folder}/out") else ""
    while select.select([terminal], [], [], 0)[0]:
        os.read(terminal, 65536)
os.kill(pid, 9)
print("\n".join(word.rstrip() for word in said.split("\n") if word not in ("", "END")))
