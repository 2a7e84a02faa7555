# SPDX-License-Identifier: BSD-2-Clause
"""JSON shapes of detnatctl(8): these keys, these types; further keys are allowed."""

MAPPING = {"in": str, "out": str, "sharing_ratio": int, "ports_per_host": int, "session_slots": int,
           "memory_bytes": int, "sessions": int, "state": str, "drain_left": (int, type(None))}
MAPPING_ADDED = {**MAPPING, "warnings": list}
FORWARD = {"in_addr": str, "out_addr": str, "port_lo": int, "port_hi": int}
REVERSE = {"out_addr": str, "out_port": int, "in_addr": str}
INTERFACE = {"name": str, "pattern": (str, type(None)), "matches": (int, type(None)), "role": str,
             "xdp": str, "xdp_reason": (str, type(None)), "shared": bool, "dispatcher": (dict, type(None)), "programs": (list, type(None)),
             "forwarding": str, "forwarding_reason": (str, type(None))}
TIMEOUTS = {"udp": int, "tcp_established": int, "tcp_transitory": int, "icmp": int}
SESSION = {"proto": str, "in_addr": str, "in_port": int, "out_addr": str, "out_port": int, "ext_addr": str,
           "ext_port": int, "state": str, "expires": int}
USER = {"in_addr": str, "out_addr": str, "port_lo": int, "port_hi": int, "sessions": int, "quota": int,
        "quota_exceeded": int, "ports_in_use": {"tcp": int, "udp": int, "icmp": int}}
GRANT = {"in_addr": str, "out_addr": str, "port_lo": int, "port_hi": int, "from": str, "sessions": int}
TOP = {"in_addr": str, "sessions": int, "quota_exceeded": int}
ROUTES = {"in_force": bool, "held_by": list, "routes": int, "next_hops": int, "neighbours": int, "memory_bytes": int,
          "left_to_kernel": dict}
STATUS = {"version": str, "uptime": int, "forwarding": str, "forwarding_reason": (str, type(None)), "interfaces": list,
          "stages": int, "stages_reason": str, "mappings": int, "sessions": int, "grants": (dict, type(None))}
IPFIX = {"collector": str, "source": str, "domain_id": int, "path_mtu": int, "template_interval": int,
         "records_sent": int, "messages_sent": int}
WHO = {"in_addr": str, "mapping": {"in": str, "out": str}, "from": str, "to": (str, type(None))}
PORTMAP = {"name": (str, type(None)), "proto": str, "in_addr": str, "in_port": int, "out_addr": str, "out_port": int,
           "origin": str, "expires": (int, type(None)), "filters": list, "packets_in": int, "packets_out": int}
POOL = {"addr": str, "last": str, "addresses": int, "state": str, "subscribers": int, "sessions": int, "mapping": (str, type(None)),
        "in": str, "out": str}
POOL_EDIT = {"out": str, "addresses": int, "subscribers": int, "mappings": int, "drain": int}
POOL_DRAINED = {**POOL_EDIT, "portmaps": int, "warnings": list}
USER_MOVE = {"in_addr": str, "out_addr": str, "mapping": str, "until": (str, type(None)), "drain": int, "warnings": list}
PEER = {"peer": str, "state": str, "reason": (str, type(None)), "sessions_sent": int, "sessions_received": int, "sessions_refused": int,
        "copies": int, "lag_seconds": (int, float, type(None)), "unsent": int, "whole_copies": int, "overruns": int, "mapping_digest": str,
        "not_exchanged": list, "differences": list, "differ": int, "differ_noted": int,
        "lacking_grants": int, "lacking_sessions": int, "contested_sessions": int, "spoken_for": bool, "clock_ahead_seconds": (int, float, type(None))}
TRACE = {"time": str, "interface": str, "hook": str, "steps": list, "verdict": str}
STEP = {"step": str, "src": str, "dst": str}

STATES = {"udp-active", "icmp-active", "tcp-syn-sent", "tcp-established", "tcp-fin-wait", "tcp-close-wait",
          "tcp-last-ack", "tcp-time-wait", "tcp-transitory", "tcp-reset"}

# Counters whose names are fixed.
COUNTERS = {
    "in2out_translated", "out2in_translated", "hairpin_translated", "icmp_error_translated", "passed_untranslated",
    "drop_quota", "drop_ports_exhausted", "drop_growth_exhausted",
    "drop_overflow_full", "drop_no_session", "drop_portmap_filter", "drop_no_mapping", "drop_malformed",
    "drop_martian", "drop_protocol", "drop_fragment", "drop_busy", "drop_direct_to_inside", "arp_answered", "no_program",
}


def assert_shape(value, shape):
    """Asserts that value is an object with every key of the shape and the right types (a boolean is no number). Returns it."""
    assert isinstance(value, dict), f"{value!r} is no object"
    for key, kind in shape.items():
        assert key in value, f"no {key!r} in {value}"
        if isinstance(kind, dict):
            assert_shape(value[key], kind)
        elif kind is int:
            assert type(value[key]) is int, f"{key!r} in {value} is no integer"
        else:
            assert isinstance(value[key], kind), f"{key!r} in {value} is no {kind}"
    return value


def assert_all(values, shape):
    assert isinstance(values, list), f"{values!r} is no array"
    for value in values:
        assert_shape(value, shape)
    return values
