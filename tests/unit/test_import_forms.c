// SPDX-License-Identifier: BSD-2-Clause
/* Plans as their systems print them: what of it is not in force, and what is named as lost. */
#include "import_forms.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct form forms[] = {
	{ "Nokia, a map on a line of its own first",
	  IMPORT_NOKIA,
	  "/configure service vprn \"77\" nat outside pool \"north\"\n"
	  "/configure service vprn \"77\" nat outside pool \"north\" large-scale\n"
	  "/configure service vprn \"77\" nat outside pool \"north\" large-scale subscriber-limit 8\n"
	  "/configure service vprn \"77\" nat outside pool \"north\" large-scale deterministic\n"
	  "/configure service vprn \"77\" nat outside pool \"north\" large-scale deterministic port-reservation 64\n"
	  "/configure service vprn \"77\" nat outside pool \"north\" address-range 198.51.100.7 end 198.51.100.7\n"
	  "/configure service vprn \"78\" nat inside large-scale nat44 deterministic prefix-map 100.72.3.0/29 "
	  "nat-policy \"pol\"\n"
	  "/configure service vprn \"78\" nat inside large-scale nat44 deterministic prefix-map 100.72.3.0/29 "
	  "nat-policy \"pol\" admin-state enable\n"
	  "/configure service vprn \"78\" nat inside large-scale nat44 deterministic prefix-map 100.72.3.0/29 "
	  "nat-policy \"pol\" map 100.72.3.0 to 100.72.3.7\n"
	  "/configure service vprn \"78\" nat inside large-scale nat44 deterministic prefix-map 100.72.3.0/29 "
	  "nat-policy \"pol\" map 100.72.3.0 to 100.72.3.7 first-outside-address 198.51.100.7\n",
	  8,
	  0,
	  0,
	  { { "100.72.3.0", "198.51.100.7", 1024, 1087 }, { "100.72.3.7", "198.51.100.7", 1472, 1535 } } },
	{ "Nokia, classic, a pool and a prefix are shut down",
	  IMPORT_NOKIA,
	  "    router Base\n"
	  "        nat\n"
	  "            outside\n"
	  "                pool \"off\" nat-group 1 type large-scale create\n"
	  "                    port-reservation ports 100\n"
	  "                    subscriber-limit 8\n"
	  "                    deterministic\n"
	  "                        port-reservation 300\n"
	  "                    exit\n"
	  "                    address-range 192.0.2.1 192.0.2.4 create\n"
	  "                    exit\n"
	  "                    redundancy\n"
	  "                        no shutdown\n"
	  "                    exit\n"
	  "                    shutdown\n"
	  "                exit\n"
	  "                pool \"on\" nat-group 1 type large-scale create\n"
	  "                    subscriber-limit 8\n"
	  "                    deterministic\n"
	  "                        port-reservation 300\n"
	  "                    exit\n"
	  "                    address-range 192.0.2.9 192.0.2.12 create\n"
	  "                    exit\n"
	  "                    no shutdown\n"
	  "                exit\n"
	  "            exit\n"
	  "        exit\n"
	  "    exit\n"
	  "    service\n"
	  "        vprn 101 customer 1 create\n"
	  "            nat\n"
	  "                inside\n"
	  "                    deterministic\n"
	  "                        classic-lsn-sub-limit 8\n"
	  "                        prefix 100.64.0.0/28 subscriber-type classic-lsn-sub nat-policy \"n\" create\n"
	  "                            map start 100.64.0.0 end 100.64.0.15 to 192.0.2.9\n"
	  "                            no shutdown\n"
	  "                        exit\n"
	  "                        prefix 100.65.0.0/28 subscriber-type classic-lsn-sub nat-policy \"n\" create\n"
	  "                            map start 100.65.0.0 end 100.65.0.15 to 192.0.2.11\n"
	  "                            shutdown\n"
	  "                        exit\n"
	  "                        prefix 100.66.0.0/28 subscriber-type classic-lsn-sub nat-policy \"m\" create\n"
	  "                            map start 100.66.0.0 end 100.66.0.15 to 192.0.2.1\n"
	  "                            no shutdown\n"
	  "                        exit\n"
	  "                    exit\n"
	  "                exit\n"
	  "            exit\n"
	  "            shutdown\n"
	  "        exit\n"
	  "    exit\n",
	  16,
	  0,
	  KIND(IMPORT_DISABLED),
	  { { "100.64.0.0", "192.0.2.9", 1024, 1323 }, { "100.64.0.8", "192.0.2.10", 1024, 1323 } } },
	{ "Nokia, braces, a prefix is turned off, a pool of DHCP has the name of one of NAT",
	  IMPORT_NOKIA,
	  "configure {\n"
	  "    service {\n"
	  "        vprn \"9999\" {\n"
	  "            nat {\n"
	  "                outside {\n"
	  "                    pool \"d\" {\n"
	  "                        admin-state enable\n"
	  "                        type large-scale\n"
	  "                        nat-group 1\n"
	  "                        large-scale {\n"
	  "                            subscriber-limit 8\n"
	  "                            redundancy {\n"
	  "                                admin-state disable\n"
	  "                            }\n"
	  "                            deterministic {\n"
	  "                                port-reservation 64\n"
	  "                            }\n"
	  "                        }\n"
	  "                        port-reservation {\n"
	  "                            ports 64\n"
	  "                        }\n"
	  "                        address-range 192.0.2.1 end 192.0.2.2 {\n"
	  "                        }\n"
	  "                    }\n"
	  "                }\n"
	  "            }\n"
	  "        }\n"
	  "        vprn \"9998\" {\n"
	  "            nat {\n"
	  "                inside {\n"
	  "                    large-scale {\n"
	  "                        nat44 {\n"
	  "                            deterministic {\n"
	  "                                prefix-map 100.64.0.0/29 nat-policy \"n\" {\n"
	  "                                    admin-state enable\n"
	  "                                    map 100.64.0.0 to 100.64.0.7 {\n"
	  "                                        first-outside-address 192.0.2.1\n"
	  "                                    }\n"
	  "                                }\n"
	  "                                prefix-map 100.64.0.8/29 nat-policy \"n\" {\n"
	  "                                    admin-state disable\n"
	  "                                    map 100.64.0.8 to 100.64.0.15 {\n"
	  "                                        first-outside-address 192.0.2.2\n"
	  "                                    }\n"
	  "                                }\n"
	  "                            }\n"
	  "                        }\n"
	  "                    }\n"
	  "                }\n"
	  "            }\n"
	  "            dhcp-server {\n"
	  "                dhcpv4 \"s\" {\n"
	  "                    pool \"d\" {\n"
	  "                        subnet 100.64.0.0/29 {\n"
	  "                            address-range 100.64.0.2 end 100.64.0.7 { }\n"
	  "                        }\n"
	  "                    }\n"
	  "                }\n"
	  "            }\n"
	  "        }\n"
	  "    }\n"
	  "}\n",
	  8,
	  KIND(IMPORT_EXTENSION),
	  KIND(IMPORT_DISABLED),
	  { { "100.64.0.0", "192.0.2.1", 1024, 1087 }, { "100.64.0.7", "192.0.2.1", 1472, 1535 } } },
	{ "VPP, deletions, whose places are taken again",
	  IMPORT_VPP,
	  "det44 plugin enable\n"
	  "set interface det44 inside eth0 outside eth1\n"
	  "set interface det44 inside eth2 outside eth1\n"
	  "set interface det44 inside eth2 outside eth1 del\n"
	  "set interface det44 outside eth1\n"
	  "det44 add in 10.0.0.0/24 out 203.0.113.0/30\n"
	  "det44 add in 100.64.0.0/28 out 192.0.2.0/31\n"
	  "det44 add in 10.0.0.9/24 out 203.0.113.1/30 del\n"
	  "det44 add in 100.64.0.0/29 out 192.0.2.8/32\n"
	  "set interface tcp-mss-clamp eth1 ip4 enable ip4-mss 1400 ip6 disable\n"
	  "set det44 timeouts udp 30\n"
	  "set det44 timeouts reset\n",
	  16,
	  0,
	  KIND(IMPORT_DISABLED),
	  { { "100.64.0.0", "192.0.2.8", 1024, 9087 }, { "100.64.0.8", "192.0.2.1", 1024, 9087 } },
	  "{ \"inside\": [\"eth0\"], \"outside\": [\"eth1\"] }" },
	{ "FortiGate, a pool without sources beside another",
	  IMPORT_FORTIOS,
	  "config firewall ippool\n"
	  "    edit \"lost\"\n"
	  "        set type fixed-port-range\n"
	  "        set startip 198.51.100.1\n"
	  "        set endip 198.51.100.2\n"
	  "    next\n"
	  "    edit \"cgn\"\n"
	  "        set type fixed-port-range\n"
	  "        set startip 192.0.2.1\n"
	  "        set endip 192.0.2.1\n"
	  "        set source-startip 100.64.0.0\n"
	  "        set source-endip 100.64.0.25\n"
	  "    next\n"
	  "end\n",
	  26,
	  KIND(IMPORT_UNKNOWN),
	  KIND(IMPORT_TAKEN),
	  { { "100.64.0.25", "192.0.2.1", 63192, 65514 } } },
	{ "Nokia, a policy's ALGs and segment size",
	  IMPORT_NOKIA,
	  "/configure service vprn \"9999\" nat outside pool \"d\" large-scale subscriber-limit 8\n"
	  "/configure service vprn \"9999\" nat outside pool \"d\" large-scale deterministic port-reservation 64\n"
	  "/configure service vprn \"9999\" nat outside pool \"d\" address-range 192.0.2.1 end 192.0.2.1\n"
	  "/configure service vprn \"9998\" nat inside large-scale nat44 deterministic prefix-map 100.64.0.0/29 "
	  "nat-policy \"n\" map 100.64.0.0 to 100.64.0.7 first-outside-address 192.0.2.1\n"
	  "/configure service vprn \"9998\" dhcp-server dhcpv4 \"s\" pool \"d\" subnet 100.64.0.0/29 address-range "
	  "100.64.0.2 end 100.64.0.7\n"
	  "/configure service nat nat-policy \"n\" alg sip true\n"
	  "/configure service nat nat-policy \"n\" tcp-mss-adjust 1400\n",
	  8,
	  KIND(IMPORT_ALG),
	  KIND(IMPORT_TAKEN),
	  { { "100.64.0.7", "192.0.2.1", 1472, 1535 } },
	  "  \"tcp_mss_clamp\": 1400\n" },
	{ "Nokia, MD-CLI with the keys of a map named",
	  IMPORT_NOKIA,
	  "/configure service vprn \"9999\" nat outside pool \"d\" large-scale subscriber-limit 8\n"
	  "/configure service vprn \"9999\" nat outside pool \"d\" large-scale deterministic port-reservation 64\n"
	  "/configure service vprn \"9999\" nat outside pool \"d\" address-range 192.0.2.1 end 192.0.2.1\n"
	  "/configure service vprn \"9998\" nat inside large-scale nat44 deterministic prefix-map 100.64.0.0/29 "
	  "nat-policy \"n\" map range-start 100.64.0.0 range-end 100.64.0.7 first-outside-address 192.0.2.1\n",
	  8,
	  0,
	  0,
	  { { "100.64.0.7", "192.0.2.1", 1472, 1535 } } },
	{ "H3C, a segment size",
	  IMPORT_H3C,
	  "nat port-block-group 1\n"
	  " local-ip-address 100.64.0.0 100.64.0.9\n"
	  " global-ip-pool 192.0.2.1 192.0.2.2\n"
	  " block-size 500\n"
	  " port-range 10001 15000\n"
	  "#\n"
	  "interface GigabitEthernet1/0/1\n"
	  " tcp mss 1400\n"
	  " nat outbound port-block-group 1\n"
	  "#\n",
	  10,
	  0,
	  KIND(IMPORT_TAKEN),
	  { { "100.64.0.9", "192.0.2.1", 14501, 15000 } },
	  "  \"tcp_mss_clamp\": 1400\n" },
	{ "VyOS, a segment size, a rule beside",
	  IMPORT_VYOS,
	  "set interfaces ethernet eth1 ip adjust-mss 1400\n"
	  "set nat cgnat pool external E external-port-range '1024-65535'\n"
	  "set nat cgnat pool external E per-user-limit port '2000'\n"
	  "set nat cgnat pool external E range 192.0.2.0/30\n"
	  "set nat cgnat pool internal I range '100.64.0.0/28'\n"
	  "set nat cgnat rule 10 source pool 'I'\n"
	  "set nat cgnat rule 10 translation pool 'E'\n"
	  "set nat destination rule 10 destination port 80\n"
	  "set nat destination rule 10 translation address 100.64.0.1\n",
	  16,
	  KIND(IMPORT_EXCEPTION),
	  KIND(IMPORT_TAKEN),
	  { { "100.64.0.0", "192.0.2.0", 1024, 3023 } },
	  "  \"tcp_mss_clamp\": 1400\n" },
};

Test(import_forms, each_form_has_the_plan_that_the_others_have)
{
	expect_forms(forms, ARRAY_SIZE(forms));
}

Test(import_forms, what_decides_is_the_reason_of_a_refusal)
{
	static const struct {
		const char *text, *why;
	} texts[] = {
		{ "/configure service vprn \"9999\" nat outside pool \"d\" admin-state disable\n"
		  "/configure service vprn \"9999\" nat outside pool \"d\" large-scale subscriber-limit 8\n"
		  "/configure service vprn \"9999\" nat outside pool \"d\" large-scale deterministic port-reservation "
		  "64\n"
		  "/configure service vprn \"9999\" nat outside pool \"d\" address-range 192.0.2.1 end 192.0.2.1\n"
		  "/configure service vprn \"9998\" nat inside large-scale nat44 deterministic prefix-map "
		  "100.64.0.0/29 nat-policy \"n\" map 100.64.0.0 to 100.64.0.7 first-outside-address 192.0.2.1\n"
		  "/configure service vprn \"9998\" dhcp-server dhcpv4 \"s\" pool \"d\" subnet 100.64.0.0/29 "
		  "address-range 100.64.0.2 end 100.64.0.7\n"
		  "/configure service nat nat-policy \"n\" alg sip true\n",
		  "FILE:1: pool \"d\" is turned off" },
		{ "/configure service vprn \"9999\" nat outside pool \"d\" large-scale subscriber-limit 8\n"
		  "/configure service vprn \"9999\" nat outside pool \"d\" large-scale deterministic port-reservation "
		  "64\n"
		  "/configure service vprn \"9999\" nat outside pool \"d\" address-range 192.0.2.1 end 192.0.2.1\n"
		  "configure service vprn \"9998\" nat inside large-scale nat44 deterministic prefix-map 100.64.0.0/29 "
		  "nat-policy \"n\" {\n"
		  "    map {\n"
		  "        range-start 100.64.0.0\n"
		  "        range-end 100.64.0.7\n"
		  "        first-outside-address 192.0.2.1\n"
		  "    }\n"
		  "}\n",
		  "FILE:6: range-start \"100.64.0.0\" on a line of its own: write map A to B" },
		{ "/ip firewall nat\n"
		  "add chain=srcnat action=jump jump-target=g src-address-list=cgn\n"
		  "add chain=g action=src-nat src-address=100.64.0.1 to-addresses=192.0.2.1 to-ports=5000-5999 "
		  "protocol=tcp\n"
		  "add chain=srcnat action=masquerade src-address=10.0.0.0/8\n",
		  "FILE:2: src-address-list=\"cgn\": the file does not have that address list" },
		{ "/ip firewall nat\n"
		  "add action=accept chain=srcnat ipsec-policy=out,ipsec\n"
		  "add action=masquerade chain=srcnat out-interface=ether1\n",
		  "FILE:3: masquerade of all others" },
		{ "table ip nat {\n"
		  "\tchain post {\n"
		  "\t\ttype nat hook postrouting priority srcnat;\n"
		  "\t\tip saddr 10.0.0.0/8 masquerade\n"
		  "\t\tmeta mark 5 ip saddr 100.64.0.0/27 jump cgn\n"
		  "\t}\n"
		  "\tchain cgn {\n"
		  "\t\tip saddr 100.64.0.0 meta l4proto { tcp, udp } snat to 192.0.2.1:1024-2047\n"
		  "\t}\n"
		  "}\n",
		  "FILE:5: \"mark\": not understood" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		const struct import_options options = { .junos_pool_boundaries = -1 };
		struct import *m = NULL;
		struct error err;

		cr_assert_eq(import_read(IMPORT_AUTO, texts[i].text, strlen(texts[i].text), "FILE", &options, &m, &err),
			     -EINVAL, "%zu", i);
		cr_expect_not_null(strstr(err.text, texts[i].why), "%zu: %s", i, err.text);
	}
}
