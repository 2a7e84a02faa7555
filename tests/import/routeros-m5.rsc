# print terse
 0 chain=srcnat action=jump jump-target=client-1 src-address=100.64.0.51-100.64.0.54
 1 chain=client-1 action=src-nat to-addresses=192.0.2.1 to-ports=5000-5199 protocol=tcp src-address=100.64.0.51
 2 chain=client-1 action=src-nat to-addresses=192.0.2.1 to-ports=5200-5399 protocol=tcp src-address=100.64.0.52
 3 chain=client-1 action=src-nat to-addresses=192.0.2.1 to-ports=5400-5599 protocol=tcp src-address=100.64.0.53
 4 chain=client-1 action=src-nat to-addresses=192.0.2.1 to-ports=5600-5799 protocol=tcp src-address=100.64.0.54
 5 chain=client-1 action=src-nat to-addresses=192.0.2.1 to-ports=5000-5199 protocol=udp src-address=100.64.0.51
 6 chain=client-1 action=src-nat to-addresses=192.0.2.1 to-ports=5200-5399 protocol=udp src-address=100.64.0.52
 7 chain=client-1 action=src-nat to-addresses=192.0.2.1 to-ports=5400-5599 protocol=udp src-address=100.64.0.53
 8 chain=client-1 action=src-nat to-addresses=192.0.2.1 to-ports=5600-5799 protocol=udp src-address=100.64.0.54
 9 chain=client-1 action=src-nat to-addresses=192.0.2.1
