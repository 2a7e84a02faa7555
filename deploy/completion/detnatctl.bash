# SPDX-License-Identifier: BSD-2-Clause
# Completion of detnatctl for bash. Commands, options and values come from its own help, so nothing is listed here.

# Candidates are names of strangers, too: of interfaces, of files. None is ever expanded, so compgen -W is of no use here,
# and what is put on the line is quoted, so that Enter does not run it either.

# Sets COMPREPLY to those of the candidates $2, ... that begin with the word $1, as typed or without its quotes.
_detnatctl_reply() {
    local LC_ALL=C word=$1 candidate quoted
    shift
    COMPREPLY=()
    for candidate; do
        [ -n "$candidate" ] || continue
        printf -v quoted %q "$candidate"
        quoted=${quoted/#'\~/'/\~/} # a home
        [[ $candidate != "$word"* && $quoted != "$word"* ]] || COMPREPLY+=("$quoted")
    done
}

# Candidates, a line each, for a value as the usage shows it, with the noun: tcp|udp|icmp, DIR, FILE, NAME. Other words in
# capitals have none. The array ask is detnatctl with the socket of the line.
_detnatctl_value() {
    case $1 in
    DIR) compgen -d -- "$2" ;;
    FILE) compgen -f -- "$2" ;;
    NAME) ls /sys/class/net ;;
    "NAME|IN")
        "${ask[@]}" -j mapping list 2>/dev/null | grep -oE '"(name|in)": *"[^"]+"' | cut -d '"' -f 4
        ;;
    "NAME|tcp|udp|both")
        tr '|' '\n' <<<"${1#*|}"
        "${ask[@]}" -j portmap list 2>/dev/null | grep -oE '"name": *"[^"]+"' | cut -d '"' -f 4
        ;;
    "ADDR|PREFIX")
        case $3 in
        pool) "${ask[@]}" pool list 2>/dev/null | grep -oE '^[0-9.]+' ;;
        *) "${ask[@]}" mapping list 2>/dev/null | grep -oE '[0-9.]+/[0-9]+' ;;
        esac
        ;;
    IN | OUT | *PREFIX*) "${ask[@]}" mapping list 2>/dev/null | grep -oE '[0-9.]+/[0-9]+' ;;
    STATE) detnatctl session list --help 2>/dev/null | sed -n '/^STATE is/,/^$/p' | grep -oE '[a-z]+(-[a-z]+)+' ;;
    *[A-Z]*) ;;
    *) tr '|' '\n' <<<"$1" ;;
    esac
}

_detnatctl() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local commands typed=() named=0 usage=() ask=(detnatctl) socket='' token option place=0 helped=0 candidates=() values i

    case $previous in
    -s | --socket)
        mapfile -t candidates < <(compgen -f -- "$word")
        _detnatctl_reply "$word" "${candidates[@]}"
        return
        ;;
    esac
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -s | --socket)
            [ "${COMP_WORDS[i + 1]}" != = ] || i=$((i + 1)) # --socket=PATH is three words
            i=$((i + 1)) socket=${COMP_WORDS[i]}
            ;;
        -s*) socket=${COMP_WORDS[i]#-s} ;;
        -*) ;;
        *) typed+=("${COMP_WORDS[i]}") ;;
        esac
    done
    [ -z "$socket" ] || ask+=(-s "${socket/#\~\//$HOME/}")
    commands=$(detnatctl --help 2>/dev/null | sed -n 's/^  \([a-z][a-z ]*[a-z]\)   *.*/\1/p')
    # After help come the words of a command, without its options.
    [ "${typed[0]-}" != help ] || helped=1 typed=("${typed[@]:1}")
    case ${#typed[@]} in
    0) mapfile -t candidates < <(cut -d ' ' -f 1 <<<"$commands" | sort -u) ;;
    1) mapfile -t candidates < <(sed -n "s/^${typed[0]//[^a-z]/} //p" <<<"$commands") ;;
    esac
    for ((i = 1; !helped && i <= 2 && i <= ${#typed[@]}; i++)); do
        ! grep -qxF -e "${typed[*]:0:i}" <<<"$commands" || named=$i
    done
    if ((named)); then
        read -ra usage < <(detnatctl "${typed[@]:0:named}" --help 2>/dev/null | sed -n "s/^Usage: .*\] ${typed[*]:0:named} //p")
    fi
    for ((i = 0; i < ${#usage[@]}; i++)); do
        token=${usage[i]#[}
        case $token in
        -*])
            candidates+=("${token%]}")
            ;;
        -*)
            option=$token token=${usage[++i]%]}
            candidates+=("$option")
            if [ "$previous" = "$option" ]; then
                mapfile -t values < <(_detnatctl_value "$token" "$word" "${typed[0]-}")
                _detnatctl_reply "$word" "${values[@]}"
                return
            fi
            ;;
        *=*) candidates+=("${token%%=*}=") ;;
        *...)
            ((named + place > ${#typed[@]})) ||
                mapfile -t -O "${#candidates[@]}" candidates < <(_detnatctl_value "${token%]...}" "$word" "${typed[0]-}")
            ;;
        *)
            ((named + place++ != ${#typed[@]})) ||
                mapfile -t -O "${#candidates[@]}" candidates < <(_detnatctl_value "${token%]}" "$word" "${typed[0]-}")
            ;;
        esac
    done
    [[ $word != -* ]] || candidates+=(--socket --json --pretty --batch --force --help --version)
    _detnatctl_reply "$word" "${candidates[@]}"
    # A name that ends in = is followed by its value, without a blank.
    [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
}
complete -F _detnatctl detnatctl
