/ip firewall nat
add action=netmap chain=srcnat comment="newcgnat" out-interface=vlan_2756 \
    protocol=udp src-address=100.48.15.0/29 to-addresses=217.177.0.96/29 \
    to-ports=1000-2499
add action=netmap chain=srcnat protocol=tcp src-address=100.48.15.0/29 to-addresses=217.177.0.96/29 to-ports=1000-2499
add action=netmap chain=srcnat protocol=udp src-address=100.48.15.8/29 to-addresses=217.177.0.96/29 to-ports=2500-3999
add action=netmap chain=srcnat protocol=tcp src-address=100.48.15.8/29 to-addresses=217.177.0.96/29 to-ports=2500-3999
add action=netmap chain=srcnat src-address=100.48.15.0/28 disabled=yes to-addresses=217.177.0.96/29
