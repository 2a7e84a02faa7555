// SPDX-License-Identifier: BSD-2-Clause
/* Plans as rules of packet filters: lists, sets, jumps by maps, and what rules do besides translating sources. */
#include "import_forms.h"

#include <criterion/criterion.h>

static const struct form forms[] = {
	{ "RouterOS, address lists, portmaps, a limit of the segment size",
	  IMPORT_ROUTEROS,
	  "# 2024-05-01 by RouterOS 7.14\n"
	  "/interface list\n"
	  "add name=WAN\n"
	  "/ip firewall nat\n"
	  "add action=accept chain=srcnat dst-address-list=no-nat\n"
	  "add action=jump chain=srcnat comment=\"CGN\" dst-address-list=!local jump-target=cgn "
	  "src-address-list=clients\n"
	  "add action=netmap chain=cgn protocol=tcp src-address=100.64.0.0/29 to-addresses=192.0.2.8/29 "
	  "to-ports=1024-3039\n"
	  "add action=netmap chain=cgn protocol=udp src-address=100.64.0.0/29 to-addresses=192.0.2.8/29 "
	  "to-ports=1024-3039\n"
	  "add action=netmap chain=cgn protocol=tcp src-address=100.64.0.8/29 to-addresses=192.0.2.8/29 "
	  "to-ports=3040-5055\n"
	  "add action=netmap chain=cgn protocol=udp src-address=100.64.0.8/29 to-addresses=192.0.2.8/29 "
	  "to-ports=3040-5055\n"
	  "add action=dst-nat chain=dstnat dst-address=192.0.2.9 dst-port=2000 protocol=tcp to-addresses=100.64.0.1 "
	  "to-ports=80\n"
	  "add action=dst-nat chain=dstnat dst-address=192.0.2.9 dst-port=5000,5002-5004 protocol=udp "
	  "to-addresses=100.64.0.9\n"
	  "add action=dst-nat chain=dstnat dst-address=192.0.2.9 dst-port=6000 protocol=tcp to-addresses=100.64.0.9\n"
	  "add action=dst-nat chain=dstnat dst-address=192.0.2.9 dst-port=3000 protocol=tcp to-addresses=100.64.0.9\n"
	  "/ip firewall mangle\n"
	  "add action=change-mss chain=forward new-mss=1440 protocol=tcp tcp-flags=syn tcp-mss=1441-65535\n"
	  "/ip firewall address-list\n"
	  "add address=100.64.0.0/28 list=clients\n"
	  "add address=198.51.100.0/24 list=no-nat\n"
	  "add address=203.0.113.0/28 list=no-nat\n"
	  "add address=10.0.0.0/8 list=local\n",
	  16,
	  KIND(IMPORT_EXCEPTION) | KIND(IMPORT_INBOUND),
	  KIND(IMPORT_TAKEN),
	  { { "100.64.0.0", "192.0.2.8", 1024, 3039 }, { "100.64.0.15", "192.0.2.15", 3040, 5055 } },
	  "  \"bypass\": [\"198.51.100.0/24\", \"203.0.113.0/28\"],\n  \"portmaps\": [\n"
	  "    { \"proto\": \"tcp\", \"in\": \"100.64.0.1:80\", \"out\": \"192.0.2.9:2000\" },\n"
	  "    { \"proto\": \"udp\", \"in\": \"100.64.0.9:5000\", \"out\": \"192.0.2.9:5000\" },\n"
	  "    { \"proto\": \"udp\", \"in\": \"100.64.0.9:5002-5004\", \"out\": \"192.0.2.9:5002-5004\" },\n"
	  "    { \"proto\": \"tcp\", \"in\": \"100.64.0.9:6000\", \"out\": \"192.0.2.9:6000\" }\n  ],\n"
	  "  \"tcp_mss_clamp\": 1440\n" },
	{ "RouterOS, print over several lines, with a prompt",
	  IMPORT_ROUTEROS,
	  "[admin@CGN1] > /ip/firewall/nat/print\n"
	  "Flags: X - disabled, I - invalid; D - dynamic\n"
	  " 0    ;;; for all\n"
	  "      chain=srcnat action=jump jump-target=cgn src-address=100.64.0.0/30\n"
	  "      dst-address-type=!local log=no log-prefix=\"\"\n"
	  "\n"
	  " 1 X  ;;; old\n"
	  "      chain=cgn action=src-nat to-addresses=192.0.2.1 to-ports=1-2\n"
	  "      protocol=tcp src-address=100.64.0.0\n"
	  "\n"
	  " 2    chain=cgn action=netmap to-addresses=192.0.2.0/30 to-ports=1024-2047\n"
	  "      protocol=tcp src-address=100.64.0.0/30 log=no\n"
	  "\n"
	  " 3    chain=cgn action=netmap to-addresses=192.0.2.0/30 to-ports=1024-2047\n"
	  "      protocol=udp src-address=100.64.0.0/30 log=no\n"
	  "[admin@CGN1] >\n",
	  4,
	  0,
	  KIND(IMPORT_DISABLED),
	  { { "100.64.0.3", "192.0.2.3", 1024, 2047 } } },
	{ "RouterOS, commands with the whole path, and below one",
	  IMPORT_ROUTEROS,
	  "/ip/firewall/address-list/add list=cgn address=100.64.0.1-100.64.0.2\n"
	  "/ip/firewall/nat/add chain=srcnat action=jump jump-target=g src-address-list=cgn out-interface=!bridge\n"
	  "/ip/firewall/nat/add chain=g action=src-nat src-address=100.64.0.1 to-addresses=192.0.2.1 "
	  "to-ports=5000-5999 protocol=tcp\n"
	  "/ip/firewall/nat/add chain=g action=src-nat src-address=100.64.0.1 to-addresses=192.0.2.1 "
	  "to-ports=5000-5999 protocol=udp\n"
	  "/ip firewall\n"
	  "nat add chain=g action=src-nat src-address=100.64.0.2 to-addresses=192.0.2.1 to-ports=6000-6999 "
	  "protocol=tcp\n"
	  "nat add chain=g action=src-nat src-address=100.64.0.2 to-addresses=192.0.2.1 to-ports=6000-6999 "
	  "protocol=udp\n",
	  2,
	  0,
	  0,
	  { { "100.64.0.1", "192.0.2.1", 5000, 5999 }, { "100.64.0.2", "192.0.2.1", 6000, 6999 } } },
	{ "iptables, DNAT of single ports, a clamp",
	  IMPORT_IPTABLES,
	  "*mangle\n"
	  ":FORWARD ACCEPT [0:0]\n"
	  "-A FORWARD -o eth1 -p tcp -m tcp --tcp-flags SYN,RST SYN -j TCPMSS --clamp-mss-to-pmtu\n"
	  "COMMIT\n"
	  "*nat\n"
	  ":PREROUTING ACCEPT [0:0]\n"
	  ":POSTROUTING ACCEPT [0:0]\n"
	  "-A PREROUTING -d 192.0.2.1/32 -p tcp -m tcp --dport 1100 -j DNAT --to-destination 100.64.0.0:80\n"
	  "-A PREROUTING -d 192.0.2.1/32 -i wan0 -p udp -m multiport --dports 2100,2200:2203 -j DNAT --to-destination "
	  "100.64.0.1\n"
	  "-A PREROUTING -d 192.0.2.1/32 -p tcp -m tcp --dport 1024:2047 -j DNAT --to-destination 100.64.0.0\n"
	  "-A POSTROUTING -s 100.64.0.0/32 -p tcp -j SNAT --to-source 192.0.2.1:1024-2047\n"
	  "-A POSTROUTING -s 100.64.0.0/32 -p udp -j SNAT --to-source 192.0.2.1:1024-2047\n"
	  "-A POSTROUTING -s 100.64.0.1/32 -p tcp -j SNAT --to-source 192.0.2.1:2048-3071\n"
	  "-A POSTROUTING -s 100.64.0.1/32 -p udp -j SNAT --to-source 192.0.2.1:2048-3071\n"
	  "COMMIT\n",
	  2,
	  KIND(IMPORT_INBOUND),
	  KIND(IMPORT_TAKEN),
	  { { "100.64.0.1", "192.0.2.1", 2048, 3071 } },
	  "    { \"proto\": \"udp\", \"in\": \"100.64.0.1:2200-2203\", \"out\": \"192.0.2.1:2200-2203\" }\n  ],\n"
	  "  \"tcp_mss_clamp\": \"mtu\"\n" },
	{ "iptables, two uplinks",
	  IMPORT_IPTABLES,
	  "*nat\n"
	  ":POSTROUTING ACCEPT [0:0]\n"
	  "-A POSTROUTING -s 100.64.0.0/31 -o wan1 -j A\n"
	  "-A POSTROUTING -s 100.64.0.0/31 -o wan2 -j B\n"
	  "-A A -s 100.64.0.0/32 -p tcp -j SNAT --to-source 192.0.2.1:1024-2047\n"
	  "-A A -s 100.64.0.0/32 -p udp -j SNAT --to-source 192.0.2.1:1024-2047\n"
	  "-A A -s 100.64.0.1/32 -p tcp -j SNAT --to-source 192.0.2.1:2048-3071\n"
	  "-A A -s 100.64.0.1/32 -p udp -j SNAT --to-source 192.0.2.1:2048-3071\n"
	  "-A B -s 100.64.0.0/32 -p tcp -j SNAT --to-source 198.51.100.1:1024-2047\n"
	  "-A B -s 100.64.0.0/32 -p udp -j SNAT --to-source 198.51.100.1:1024-2047\n"
	  "-A B -s 100.64.0.1/32 -p tcp -j SNAT --to-source 198.51.100.1:2048-3071\n"
	  "-A B -s 100.64.0.1/32 -p udp -j SNAT --to-source 198.51.100.1:2048-3071\n"
	  "-A C -s 100.64.0.7 -p udp -j SNAT --to-source 198.51.100.1:2048-3071\n"
	  "-A PREROUTING -d 192.0.2.1/32 -p tcp -m tcp --dport 1024:2047 -j DNAT --to-destination 100.64.0.0\n"
	  "-A PREROUTING -d 192.0.2.1/32 -p tcp -m tcp --dport 2048:3071 -j DNAT --to-destination 100.64.0.1\n"
	  "-A PREROUTING -d 192.0.2.1/32 -p udp -m udp --dport 2048:3071 -j DNAT --to-destination 100.64.0.1\n"
	  "COMMIT\n",
	  2,
	  KIND(IMPORT_EXCEPTION) | KIND(IMPORT_UNREACHED) | KIND(IMPORT_INBOUND),
	  0,
	  { { "100.64.0.1", "192.0.2.1", 2048, 3071 } } },
	{ "nftables, a verdict map in a rule",
	  IMPORT_NFT,
	  "table ip nat {\n"
	  "\tchain c1 {\n"
	  "\t\tip saddr 100.64.0.0 meta l4proto { tcp, udp } counter packets 0 bytes 0 snat to 192.0.2.1:1024-2047\n"
	  "\t\tip saddr 100.64.0.1 meta l4proto { tcp, udp } counter packets 0 bytes 0 snat to 192.0.2.1:2048-3071\n"
	  "\t}\n"
	  "\tchain postrouting {\n"
	  "\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
	  "\t\tip saddr vmap { 100.64.0.0/27 : jump c1 }\n"
	  "\t}\n"
	  "}\n",
	  2,
	  0,
	  0,
	  { { "100.64.0.1", "192.0.2.1", 2048, 3071 } } },
	{ "nftables, sets, verdict maps, counters of elements, conditions with !=",
	  IMPORT_NFT,
	  "table inet filter {\n"
	  "\tset clients { type ipv4_addr; elements = { 9.9.9.9 } }\n"
	  "}\n"
	  "table ip cgnat {\n"
	  "\tset clients {\n"
	  "\t\ttype ipv4_addr\n"
	  "\t\tflags interval\n"
	  "\t\telements = { 100.64.0.0/30 counter packets 0 bytes 0, 100.64.0.8-100.64.0.9 timeout 1h expires 5m }\n"
	  "\t}\n"
	  "\tmap subs {\n"
	  "\t\ttype ipv4_addr : verdict\n"
	  "\t\tflags interval\n"
	  "\t\telements = { 100.64.0.0/31 counter packets 5 bytes 6 : jump c1, 100.64.0.2/31 comment \"b\" : goto c2,\n"
	  "\t\t\t     100.64.0.9 : return, * : continue }\n"
	  "\t}\n"
	  "\tmap tm {\n"
	  "\t\ttype ipv4_addr : interval ipv4_addr . inet_service\n"
	  "\t\telements = { 100.64.0.0 counter packets 1 bytes 1 : 192.0.2.1 . 1024-2047, 100.64.0.1 : 192.0.2.1 . "
	  "2048-3071 }\n"
	  "\t}\n"
	  "\tchain c1 { meta l4proto vmap { tcp : jump both, udp : jump both } }\n"
	  "\tchain both { snat ip to ip saddr map @tm }\n"
	  "\tchain c2 {\n"
	  "\t\tip saddr 100.64.0.2 ip protocol { tcp, udp } counter name \"x\" snat to 192.0.2.1:3072-4095\n"
	  "\t\tip saddr 100.64.0.3 meta l4proto { tcp, udp } log prefix \"a b\" group 2 snat to 192.0.2.1:4096-5119\n"
	  "\t}\n"
	  "\tchain pre {\n"
	  "\t\ttype nat hook prerouting priority dstnat; policy accept;\n"
	  "\t\tiifname \"wan0\" ip daddr 192.0.2.1 tcp dport 1100 counter packets 1 bytes 2 dnat to 100.64.0.0:80\n"
	  "\t\tip daddr 192.0.2.1 udp dport { 2100, 2200-2201 } dnat ip to 100.64.0.1\n"
	  "\t}\n"
	  "\tchain post {\n"
	  "\t\ttype nat hook postrouting priority srcnat; policy accept;\n"
	  "\t\tip saddr @clients ip daddr { 10.0.0.0/8, 192.168.0.0/16 } return\n"
	  "\t\tip saddr @clients oifname != \"lan0\" ip daddr != 172.16.0.0/12 jump plan\n"
	  "\t}\n"
	  "\tchain plan { ip saddr vmap @subs }\n"
	  "\tchain fwd {\n"
	  "\t\ttype filter hook forward priority mangle;\n"
	  "\t\ttcp flags syn / syn,rst tcp option maxseg size set rt mtu\n"
	  "\t}\n"
	  "}\n",
	  4,
	  KIND(IMPORT_EXCEPTION),
	  KIND(IMPORT_TAKEN),
	  { { "100.64.0.0", "192.0.2.1", 1024, 2047 }, { "100.64.0.3", "192.0.2.1", 4096, 5119 } },
	  "    { \"proto\": \"udp\", \"in\": \"100.64.0.1:2200-2201\", \"out\": \"192.0.2.1:2200-2201\" }\n  ],\n"
	  "  \"tcp_mss_clamp\": \"mtu\"\n" },
	{ "nftables, definitions of lists, a set below its rule, hosts by their jumps",
	  IMPORT_NFT,
	  "define cgn = { 100.64.0.0/31, 100.64.0.4 }\n"
	  "define wan = { \"eth1\", \"eth2\" }\n"
	  "table ip nat {\n"
	  "\tchain post {\n"
	  "\t\ttype nat hook postrouting priority srcnat;\n"
	  "\t\tip saddr $cgn ip saddr != { 100.64.0.4 } ip daddr != @local jump plan\n"
	  "\t}\n"
	  "\tset local { type ipv4_addr; flags interval; elements = { 10.0.0.0/8 } }\n"
	  "\tchain plan {\n"
	  "\t\tip saddr vmap { 100.64.0.0: goto one, 100.64.0.1 : goto two }\n"
	  "\t}\n"
	  "\tchain one { meta l4proto { tcp, udp } snat to 192.0.2.1:1024-2047 }\n"
	  "\tchain two { meta l4proto { tcp, udp } snat to 192.0.2.1:2048-3071 }\n"
	  "}\n",
	  2,
	  KIND(IMPORT_EXCEPTION),
	  0,
	  { { "100.64.0.0", "192.0.2.1", 1024, 2047 }, { "100.64.0.1", "192.0.2.1", 2048, 3071 } } },
	{ "iptables, conditions with !",
	  IMPORT_IPTABLES,
	  "iptables -t nat -N CG\n"
	  "iptables -t nat -A POSTROUTING -s 100.64.0.0/30 ! -d 10.0.0.0/8 -o eth0 -j CG\n"
	  "iptables -t nat -A CG -s 100.64.0.0 -p tcp -j SNAT --to-source 192.0.2.1:1024-2047 --random\n"
	  "iptables -t nat -A CG -s 100.64.0.0 -p udp -j SNAT --to-source 192.0.2.1:1024-2047\n"
	  "iptables -t nat -A CG -s 100.64.0.1 -p tcp -j SNAT --to-source 192.0.2.1:2048-3071\n"
	  "iptables -t nat -A CG -s 100.64.0.1 -p udp -j SNAT --to-source 192.0.2.1:2048-3071\n"
	  "iptables -t nat -A POSTROUTING ! -s 100.64.0.0/10 -o eth0 -j MASQUERADE\n",
	  2,
	  KIND(IMPORT_EXCEPTION) | KIND(IMPORT_DYNAMIC),
	  0,
	  { { "100.64.0.1", "192.0.2.1", 2048, 3071 } } },
	{ "RouterOS, actions and protocols that are not known",
	  IMPORT_ROUTEROS,
	  "/ip firewall nat\n"
	  "add action=src-nat chain=srcnat src-address=100.64.0.0/29 protocol=tcp to-addresses=192.0.2.1 "
	  "to-ports=1024-2047 out-interface-list=WAN\n"
	  "add action=src-nat chain=srcnat comment=\"x; y\" src-address=100.64.1.0-100.64.1.0 protocol=tcp "
	  "to-addresses=192.0.2.1 to-ports=2048-3071\n"
	  "add action=src-nat chain=srcnat src-address=100.64.1.0 protocol=udp to-addresses=192.0.2.1-192.0.2.1 "
	  "to-ports=2048-3071\n"
	  "add action=endpoint-independent-nat chain=srcnat protocol=udp\n"
	  "add action=same chain=srcnat src-address=100.64.2.0/30 to-addresses=192.0.2.4/30\n"
	  "add action=src-nat chain=srcnat src-address=100.64.3.0 protocol=tcp,udp to-addresses=192.0.2.9 "
	  "to-ports=2048-3071\n",
	  1,
	  KIND(IMPORT_UNKNOWN) | KIND(IMPORT_DYNAMIC),
	  0,
	  { { "100.64.1.0", "192.0.2.1", 2048, 3071 } } },
	{ "nftables, the state that all have",
	  IMPORT_NFT,
	  "#!/usr/sbin/nft -f\n"
	  "table ip nat {\n"
	  "  map m { typeof ip saddr : interval ip saddr . tcp sport ; flags interval ; counter\n"
	  "    elements = { 100.64.0.0 : 192.0.2.1 . 1024-2047, 100.64.0.1 : 192.0.2.1 . 2048-3071 } }\n"
	  "  chain post { type nat hook postrouting priority 100; policy accept;\n"
	  "    ct state new ip saddr 100.64.0.0/31 meta l4proto {tcp,udp} snat ip to ip saddr map @m fully-random\n"
	  "    fib saddr type local accept\n"
	  "  }\n"
	  "}\n",
	  2,
	  KIND(IMPORT_UNKNOWN),
	  0,
	  { { "100.64.0.1", "192.0.2.1", 2048, 3071 } } },
	{ "RouterOS, two jumps to one chain, by two interfaces",
	  IMPORT_ROUTEROS,
	  "/ip firewall nat\n"
	  "add action=jump chain=srcnat jump-target=a src-address=100.64.0.0/31 out-interface=w1\n"
	  "add action=jump chain=srcnat jump-target=a src-address=100.64.0.0/31 out-interface=w2\n"
	  "add action=src-nat chain=a protocol=tcp src-address=100.64.0.0 to-addresses=192.0.2.1 to-ports=1024-2047\n"
	  "add action=src-nat chain=a protocol=udp src-address=100.64.0.0 to-addresses=192.0.2.1 to-ports=1024-2047\n"
	  "add action=src-nat chain=a protocol=tcp src-address=100.64.0.1 to-addresses=192.0.2.1 to-ports=2048-3071\n"
	  "add action=src-nat chain=a protocol=udp src-address=100.64.0.1 to-addresses=192.0.2.1 to-ports=2048-3071\n"
	  "add action=src-nat chain=a src-address=100.64.0.0 to-addresses=192.0.2.1\n",
	  2,
	  KIND(IMPORT_PROTOCOLS),
	  0,
	  { { "100.64.0.1", "192.0.2.1", 2048, 3071 } } },
};

Test(import_forms, rules_have_the_plan_whatever_names_their_sources)
{
	expect_forms(forms, ARRAY_SIZE(forms));
}
