# SPDX-License-Identifier: BSD-2-Clause
# Completion of detnatctl for bash. The commands come from its own help, so that there is one list of them.

_detnatctl() {
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} commands typed=() candidates='' i

    case $previous in
    -s | --socket)
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
        return
        ;;
    --proto)
        mapfile -t COMPREPLY < <(compgen -W 'tcp udp icmp' -- "$word")
        return
        ;;
    --state-dir)
        mapfile -t COMPREPLY < <(compgen -d -- "$word")
        return
        ;;
    --by)
        mapfile -t COMPREPLY < <(compgen -W 'sessions quota' -- "$word")
        return
        ;;
    -n | --sessions-per-user | --session-slots | --at | --in | --out | --ext | --count)
        return
        ;;
    esac
    for ((i = 1; i < COMP_CWORD; i++)); do
        case ${COMP_WORDS[i]} in
        -s | --socket) i=$((i + 1)) ;;
        -*) ;;
        *) typed+=("${COMP_WORDS[i]}") ;;
        esac
    done
    commands=$(detnatctl --help 2>/dev/null | sed -n 's/^  \([a-z][a-z ]*[a-z]\)   *.*/\1/p')
    case ${#typed[@]} in
    0) candidates=$(cut -d ' ' -f 1 <<<"$commands" | sort -u) ;;
    1) candidates=$(sed -n "s/^${typed[0]//[^a-z]/} //p" <<<"$commands") ;;
    esac
    case "${typed[*]:0:2}" in
    'session list') candidates+=' --proto --all' ;;
    'session close')
        candidates+=' --proto'
        [ ${#typed[@]} -gt 2 ] || candidates+=' in out'
        ;;
    who*) candidates+=' --at --state-dir' ;;
    'history list' | 'history verify') candidates+=' --state-dir' ;;
    top) candidates+=' -n --by --once' ;;
    'mapping add') candidates+=' --sessions-per-user --session-slots' ;;
    'interface add' | 'interface del')
        [ ${#typed[@]} -gt 2 ] || candidates+=" $(ls /sys/class/net)"
        [ ${#typed[@]} -ne 3 ] || candidates+=' inside outside'
        ;;
    check) candidates+=' --repair' ;;
    'timeouts set') candidates+=' udp= tcp_established= tcp_transitory= icmp=' ;;
    'trace start') candidates+=' --in --out --ext --proto --count' ;;
    'ipfix set') candidates+=' collector= source= domain_id= path_mtu= template_interval=' ;;
    esac
    [[ $word != -* ]] || candidates+=' --socket --json --help --version'
    mapfile -t COMPREPLY < <(compgen -W "$candidates" -- "$word")
    # A name that ends in = is followed by its value, without a blank.
    [[ ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
}
complete -F _detnatctl detnatctl
