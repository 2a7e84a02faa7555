nat {
    cgnat {
        pool {
            external EXT {
                per-user-limit {
                    port 8000
                }
                range 192.0.2.1-192.0.2.2 {
                }
                range 203.0.113.253-203.0.113.254 {
                }
            }
            internal INT {
                range 100.64.0.1-100.64.0.32
            }
        }
        rule 10 {
            source {
                pool INT
            }
            translation {
                pool EXT
            }
        }
    }
}
