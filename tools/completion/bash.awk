# SPDX-License-Identifier: BSD-2-Clause
# From the tables of a program to the completion of bash.
#
#     PROGRAM --completion | awk -v program=PROGRAM -f bash.awk
#
# Each line is a command and its options; a colon stands behind those that take a value.

{
    commands = commands " " $1
    options = valued = ""
    for (i = 2; i <= NF; i++) {
        option = $i
        if (sub(/:$/, "", option))
            valued = valued " " option
        options = options " " option
    }
    rows = rows "    " $1 ") options='" substr(options, 2) " -h' valued='" valued " ' ;;\n"
}

END {
    name = "_" program
    gsub(/-/, "_", name)
    print "# " program "(8): completion for bash, made of the tables that its --help is made of."
    print name "() {"
    print "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}"
    print "    local options='' valued='' key=''"
    print "    COMPREPLY=()"
    print "    if ((COMP_CWORD == 1)); then"
    print "        mapfile -t COMPREPLY < <(compgen -W '" substr(commands, 2) "' -- \"$word\")"
    print "        return"
    print "    fi"
    print "    case ${COMP_WORDS[1]} in"
    printf "%s", rows
    print "    esac"
    print "    if [[ $valued != *\" $before \"* ]]; then"
    print "        mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\")"
    print "        return"
    print "    fi"
    if (program == "tap-ctl") {
        print "    # Which tapdisks and minors there are."
        print "    case $before in"
        print "    -p) key=pid ;;"
        print "    -m) key=minor ;;"
        print "    *) return ;;"
        print "    esac"
        print "    mapfile -t COMPREPLY < <(compgen -W \"$(tap-ctl list 2>/dev/null |"
        print "        sed -n \"s/ args=.*//; s/.*\\b$key=\\([0-9]*\\).*/\\1/p\" | sort -un)\" -- \"$word\")"
    }
    print "}"
    print "complete -o default -F " name " " program
}
