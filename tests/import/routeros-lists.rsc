# 2024-05-01 by RouterOS 7.14
/interface list
add name=WAN
/ip firewall nat
add action=accept chain=srcnat dst-address-list=no-nat
add action=jump chain=srcnat comment="CGN" dst-address-list=!local jump-target=cgn src-address-list=clients
add action=netmap chain=cgn protocol=tcp src-address=100.64.0.0/29 to-addresses=192.0.2.8/29 to-ports=1024-3039
add action=netmap chain=cgn protocol=udp src-address=100.64.0.0/29 to-addresses=192.0.2.8/29 to-ports=1024-3039
add action=netmap chain=cgn protocol=tcp src-address=100.64.0.8/29 to-addresses=192.0.2.8/29 to-ports=3040-5055
add action=netmap chain=cgn protocol=udp src-address=100.64.0.8/29 to-addresses=192.0.2.8/29 to-ports=3040-5055
add action=dst-nat chain=dstnat dst-address=192.0.2.9 dst-port=2000 protocol=tcp to-addresses=100.64.0.1 to-ports=80
add action=dst-nat chain=dstnat dst-address=192.0.2.9 dst-port=5000,5002-5004 protocol=udp to-addresses=100.64.0.9
add action=dst-nat chain=dstnat dst-address=192.0.2.9 dst-port=6000 protocol=tcp to-addresses=100.64.0.9
add action=dst-nat chain=dstnat dst-address=192.0.2.9 dst-port=3000 protocol=tcp to-addresses=100.64.0.9
/ip firewall mangle
add action=change-mss chain=forward new-mss=1440 protocol=tcp tcp-flags=syn tcp-mss=1441-65535
/ip firewall address-list
add address=100.64.0.0/28 list=clients
add address=198.51.100.0/24 list=no-nat
add address=203.0.113.0/28 list=no-nat
add address=10.0.0.0/8 list=local
