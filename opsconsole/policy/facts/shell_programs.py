"""The programs whose every listed option is known, as a table; a program or an option that is not here is unclear."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from opsconsole.policy.facts.shell_options import Effect, Kind, Operands, Program, options
from opsconsole.policy.facts.shell_scripts import why_awk_does_more, why_jq_does_more, why_sed_does_more

_GIVEN = Effect.PATTERN_GIVEN
_NO_OPTIONS: Mapping[str, Kind] = MappingProxyType({})
_DIGEST = options("-bt --binary --text --tag --zero -z")
_COMPARE = "-abBdiNpqrstuvwyT -C: -U: -W: -x% -I% --brief --recursive --unified? --context? --color? --ignore-case"
_GREP = (
    "-EFGPivwxycLlHhnoqrsabTzIU -m: -A: -B: -C: -e% -f/ --color? --colour? --count --extended-regexp --fixed-strings"
    " --perl-regexp --ignore-case --invert-match --word-regexp --line-regexp --files-with-matches --files-without-match"
    " --line-number --no-filename --with-filename --only-matching --quiet --silent --recursive --no-messages --text"
    " --regexp% --file/ --include% --exclude% --exclude-dir% --max-count: --after-context: --before-context: --context:"
    " --null --binary-files: --line-buffered"
)
_RIPGREP = (
    "-ivwxFScloNHhnuUPs0 -e% -g% -t: -T: -m: -A: -B: -C: --files --hidden --no-ignore --json --glob% --iglob% --type:"
    " --type-not: --sort: --sortr: --color: --heading --no-heading --line-number --no-line-number --ignore-case"
    " --smart-case --case-sensitive --fixed-strings --files-with-matches --files-without-match --count --count-matches"
    " --only-matching --max-count: --max-depth: --context: --after-context: --before-context: --word-regexp"
    " --multiline --invert-match --stats --no-messages --type-list --null --with-filename --no-filename --trim"
)
_SORT = (
    "-bdfghiMnrRVcCmsuz -k% -t% -S: -o/ --reverse --numeric-sort --human-numeric-sort --version-sort --unique --key%"
    " --field-separator% --ignore-case --check --stable --general-numeric-sort --zero-terminated --parallel:"
    " --dictionary-order --month-sort --output/ --ignore-leading-blanks"
)
_SED = "-nErsuzl -e! -i? --expression! --quiet --silent --regexp-extended --in-place? --null-data --separate --sandbox"
_JQ = (
    "-rcnsSeMCjaR --raw-output --compact-output --null-input --slurp --sort-keys --exit-status --monochrome-output"
    " --color-output --join-output --ascii-output --raw-input --tab --indent:"
)

READERS = (
    Program(name="cat", options=_NO_OPTIONS, is_plain=True),
    Program(name="tac", options=options("-s%"), is_plain=True),
    Program(name="rev", options=_NO_OPTIONS, is_plain=True),
    Program(name="nl", options=options("-b: -n: -s% -w: -v:"), is_plain=True),
    Program(name="ls", options=options("-I: --ignore% --hide% --time-style%"), is_plain=True, takes_digits=True),
    Program(name="head", options=options("-n: -c: --lines: --bytes: -qvz"), is_plain=True, takes_digits=True),
    Program(name="tail", options=options("-n: -c: --lines: --bytes: -qvz"), is_plain=True, takes_digits=True),
    Program(name="stat", options=options("-c% -f --format% --printf% -Lt"), is_plain=True),
    Program(name="cut", options=options("-d% -f: -c: -b: -sz --delimiter% --output-delimiter%"), is_plain=True),
    Program(name="fold", options=options("-w: -bs"), is_plain=True, takes_digits=True),
    Program(name="paste", options=options("-d% -sz --delimiters%"), is_plain=True),
    Program(name="comm", options=options("-z --output-delimiter%"), is_plain=True, takes_digits=True),
    Program(name="cmp", options=options("-bls -n: -i:"), is_plain=True),
    Program(name="readlink", options=options("-femnvz"), is_plain=True),
    Program(name="realpath", options=options("-emsqzLP --relative-to/ --relative-base/")),
    Program(name="basename", options=options("-az -s%"), is_plain=True),
    Program(name="dirname", options=options("-z"), is_plain=True),
    Program(name="expand", options=options("-i -t:")),
    Program(name="unexpand", options=options("-a -t:")),
    Program(name="wc", options=options("-clmwL --bytes --chars --lines --words --max-line-length --total:")),
    Program(
        name="du",
        options=options(
            "-abchklmsSxd0 -d: -t: --max-depth: --apparent-size --human-readable --summarize --all --total --bytes"
            " --exclude% --time? --si --threshold: --inodes --block-size:"
        ),
    ),
    Program(name="df", options=options("-ahHiklmPT -t: -x: -B: --human-readable --total --output? --print-type")),
    Program(name="diff", options=options(_COMPARE + " --side-by-side --suppress-common-lines --exclude% --width:")),
    Program(name="sort", options=options(_SORT), effects={"-o": Effect.WRITES, "--output": Effect.WRITES}),
    Program(
        name="uniq",
        operands_max=1,
        options=options(
            "-cdDiuz -f: -s: -w: --count --repeated --unique --ignore-case --skip-fields: --skip-chars: --check-chars:"
        ),
    ),
    Program(name="join", options=options("-iz -1: -2: -a: -v: -e% -j: -o: -t%")),
    Program(name="column", options=options("-txn -s% -c: -o% -N: -R: -J --table --separator%")),
    Program(name="od", options=options("-abcdfiloxsv -A: -j: -N: -t: -w: -S:")),
    Program(name="hexdump", options=options("-bcCdovx -n: -s:")),
    Program(name="xxd", options=options("-abeEipu -c: -g: -l: -s:"), operands_max=1),
    Program(name="strings", options=options("-af -n: -t: -e:")),
    Program(name="base64", options=options("-dDi -w: --decode --wrap:"), operands_max=1),
    Program(name="file", options=options("-biLhkN0 -F% --brief --mime --mime-type --mime-encoding")),
    Program(
        name="tree",
        options=options(
            "-adfpughsDFCniqN -L: -I% -P% --noreport --dirsfirst --prune --du --si --gitignore --charset: --filelimit:"
        ),
    ),
    *(
        Program(name=name, options=_DIGEST, is_plain=False)
        for name in ("md5sum", "sha1sum", "sha224sum", "sha256sum", "sha384sum", "sha512sum", "b2sum", "sum", "cksum")
    ),
    Program(name="shasum", options=options("-bt -a: --algorithm:")),
    Program(name="zcat", options=_NO_OPTIONS),
    Program(
        name="grep",
        options=options(_GREP),
        operands=Operands.PATTERN,
        takes_digits=True,
        effects={"-e": _GIVEN, "-f": _GIVEN, "--regexp": _GIVEN, "--file": _GIVEN},
    ),
    Program(
        name="egrep",
        options=options(_GREP),
        operands=Operands.PATTERN,
        takes_digits=True,
        effects={"-e": _GIVEN, "-f": _GIVEN, "--regexp": _GIVEN, "--file": _GIVEN},
    ),
    Program(
        name="fgrep",
        options=options(_GREP),
        operands=Operands.PATTERN,
        takes_digits=True,
        effects={"-e": _GIVEN, "-f": _GIVEN, "--regexp": _GIVEN, "--file": _GIVEN},
    ),
    Program(name="rg", options=options(_RIPGREP), operands=Operands.PATTERN, effects={"-e": _GIVEN, "--files": _GIVEN}),
    Program(
        name="sed",
        options=options(_SED),
        operands=Operands.SCRIPT,
        check_script=why_sed_does_more,
        effects={"-i": Effect.WRITES, "--in-place": Effect.WRITES},
    ),
    *(
        Program(name=name, options=options("-F% -v="), operands=Operands.SCRIPT, check_script=why_awk_does_more)
        for name in ("awk", "gawk", "mawk", "nawk")
    ),
    Program(name="jq", options=options(_JQ), operands=Operands.SCRIPT, check_script=why_jq_does_more),
    Program(name="tr", options=options("-cCdst --delete --squeeze-repeats --complement"), operands=Operands.TEXT),
    Program(name="seq", options=options("-w -s% -f% --equal-width --separator%"), operands=Operands.TEXT),
    Program(name="pwd", options=options("-LP"), operands=Operands.NONE),
    Program(name="true", options=_NO_OPTIONS, operands=Operands.TEXT),
    Program(name="false", options=_NO_OPTIONS, operands=Operands.TEXT),
    Program(name=":", options=_NO_OPTIONS, operands=Operands.TEXT),
    Program(name="echo", options=_NO_OPTIONS, operands=Operands.TEXT, is_plain=True),
    Program(name="sleep", options=_NO_OPTIONS, operands=Operands.TEXT),
    Program(name="cal", options=options("-13jmsy"), operands=Operands.TEXT),
    Program(name="uname", options=options("-asnrvmpio"), operands=Operands.NONE),
    Program(name="whoami", options=_NO_OPTIONS, operands=Operands.NONE),
    Program(name="id", options=options("-ugnGr"), operands=Operands.TEXT),
    Program(name="groups", options=_NO_OPTIONS, operands=Operands.TEXT),
    Program(name="hostname", options=_NO_OPTIONS, operands=Operands.NONE),
    Program(name="nproc", options=options("--all"), operands=Operands.NONE),
    Program(name="arch", options=_NO_OPTIONS, operands=Operands.NONE),
    Program(name="uptime", options=options("-ps"), operands=Operands.NONE),
    Program(name="free", options=options("-bkmght"), operands=Operands.NONE),
    Program(name="which", options=options("-a"), operands=Operands.TEXT),
    Program(name="type", options=options("-aptP"), operands=Operands.TEXT),
)

WRITERS = (
    Program(name="mkdir", options=options("-pv --parents --verbose"), is_writer=True),
    Program(name="touch", options=options("-acm -d: -t: -r/"), is_writer=True),
    Program(name="rmdir", options=options("-v"), is_writer=True),
    Program(name="tee", options=options("-ai --append"), is_writer=True),
    Program(
        name="cp",
        options=options("-rRafnpvuidT --recursive --archive --force --no-clobber --verbose"),
        is_writer=True,
        writes_last_only=True,
    ),
    Program(name="mv", options=options("-fnviuT --force --no-clobber --verbose"), is_writer=True, replaces_target=True),
    Program(name="ln", options=options("-sfvnrT --symbolic --force"), is_writer=True, replaces_target=True),
    Program(
        name="rm",
        options=options("-rRfivdI --recursive --force --verbose --dir"),
        is_writer=True,
        replaces_target=True,
        effects={"-r": Effect.DESTRUCTIVE, "-R": Effect.DESTRUCTIVE, "--recursive": Effect.DESTRUCTIVE},
    ),
    Program(
        name="truncate",
        options=options("-s: --size:"),
        is_writer=True,
        effects={"-s": Effect.DESTRUCTIVE, "--size": Effect.DESTRUCTIVE},
    ),
)

PROGRAMS: Mapping[str, Program] = MappingProxyType({program.name: program for program in (*READERS, *WRITERS)})
