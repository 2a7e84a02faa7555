vpp {
    nat {
        cgnat {
            interface {
                inside eth2
                outside eth1
            }
            rule 1 {
                inside-prefix 100.64.0.0/16
                outside-prefix 203.0.113.0/24
            }
        }
    }
}
