#include <chorale/launcher/doctor/interfaces.hpp>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <set>
#include <sstream>

#include <chorale/comm/control/connection.hpp>
#include <chorale/launcher/doctor/probe.hpp>

namespace chorale {

namespace {

std::int64_t speed_of_interface(const std::string& name) {
  std::int64_t out = -1;
  std::ifstream("/sys/class/net/" + name + "/speed") >> out;
  return out > 0 ? out : -1;
}

std::string setting(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

nlohmann::json ask(Communicator& comm, const ProbeOrder&) {
  const HostInterfaces mine = {.rank = comm.rank(),
                               .host = host_name(),
                               .interfaces = own_interfaces(),
                               .include = setting("OMPI_MCA_btl_tcp_if_include"),
                               .exclude = setting("OMPI_MCA_btl_tcp_if_exclude")};
  return gather_facts(comm, mine, "doctor interfaces");
}

/// "10.0.0.0/24"
std::string network_of(const Interface& interface) {
  in_addr address{};
  ::inet_pton(AF_INET, interface.address.c_str(), &address);
  const std::uint32_t mask = interface.prefix == 0 ? 0 : ~std::uint32_t{0} << (32 - interface.prefix);
  address.s_addr &= htonl(mask);
  char text[INET_ADDRSTRLEN] = {};
  ::inet_ntop(AF_INET, &address, text, sizeof text);
  return fmt::format("{}/{}", text, interface.prefix);
}

std::set<std::string> words_between_commas(const std::string& text) {
  std::set<std::string> out;
  std::istringstream in(text);
  for (std::string word; std::getline(in, word, ',');) out.insert(word);
  return out;
}

std::set<std::string> networks_of(const HostInterfaces& host) {
  std::set<std::string> out;
  for (const Interface& i : host.interfaces) out.insert(network_of(i));
  return out;
}

std::string interfaces_text(const HostInterfaces& host) {
  std::string out = host.host + ":";
  for (const Interface& i : host.interfaces)
    out += fmt::format(" {} {}/{}{}", i.name, i.address, i.prefix, i.megabits > 0 ? fmt::format(" {} Mbit/s", i.megabits) : "");
  return host.interfaces.empty() ? out + " none but the loopback" : out;
}

/// A word of Open MPI's setting that names nothing of this host; empty: none. Names and networks are allowed.
std::string unknown_word(const HostInterfaces& host) {
  const std::set<std::string> networks = networks_of(host);
  for (const std::string& word : words_between_commas(host.include)) {
    const bool is_name = std::any_of(host.interfaces.begin(), host.interfaces.end(), [&](const Interface& i) { return i.name == word; });
    if (!is_name && !networks.contains(word) && word != "lo" && word.find('/') == std::string::npos) return word;
  }
  return "";
}

std::vector<Finding> judge(const nlohmann::json& facts) { return {judge_interfaces(facts.get<std::vector<HostInterfaces>>())}; }

Finding verdict(const std::vector<const HostInterfaces*>& hosts, const std::string& all) {
  for (const HostInterfaces* host : hosts)
    if (const std::string word = unknown_word(*host); !word.empty())
      return failed("interfaces", ExitCode::comm,
                    fmt::format("OMPI_MCA_btl_tcp_if_include names {}, which {} does not have; {}", word, host->host, all),
                    "name an interface that every host has, or the network itself: btl_tcp_if_include 10.0.0.0/24");
  if (hosts.size() == 1) return ok("interfaces", all);
  std::set<std::string> common = networks_of(*hosts.front());
  for (const HostInterfaces* host : hosts) {
    if (host->interfaces.empty())
      return failed("interfaces", ExitCode::comm, host->host + " has no interface but the loopback that is up", "ip link set INTERFACE up");
    const std::set<std::string> theirs = networks_of(*host);
    std::erase_if(common, [&](const std::string& network) { return !theirs.contains(network); });
  }
  if (common.empty())
    return warning("interfaces", "no network is common to all hosts, messages are routed: " + all,
                   "name the network to use by --mca btl_tcp_if_include, if there is a better one");
  const bool has_more = std::any_of(hosts.begin(), hosts.end(), [](const HostInterfaces* h) { return h->interfaces.size() > 1; });
  if (has_more && hosts.front()->include.empty() && hosts.front()->exclude.empty())
    return warning("interfaces", "hosts have several interfaces and Open MPI tries them all: " + all,
                   fmt::format("export OMPI_MCA_btl_tcp_if_include={} (and OMPI_MCA_oob_tcp_if_include) on all hosts", *common.begin()));
  return ok("interfaces", fmt::format("network {} is common to all hosts; {}", fmt::join(common, ", "), all));
}

}  // namespace

std::vector<Interface> own_interfaces() {
  std::vector<Interface> out;
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return out;
  const std::unique_ptr<ifaddrs, decltype(&::freeifaddrs)> owner(first, ::freeifaddrs);
  for (const ifaddrs* at = first; at; at = at->ifa_next) {
    if (!at->ifa_addr || at->ifa_addr->sa_family != AF_INET || !at->ifa_netmask) continue;
    if ((at->ifa_flags & IFF_UP) == 0 || (at->ifa_flags & IFF_LOOPBACK) != 0) continue;
    char text[INET_ADDRSTRLEN] = {};
    ::inet_ntop(AF_INET, &reinterpret_cast<const sockaddr_in*>(at->ifa_addr)->sin_addr, text, sizeof text);
    const std::uint32_t mask = reinterpret_cast<const sockaddr_in*>(at->ifa_netmask)->sin_addr.s_addr;
    out.push_back({.name = at->ifa_name, .address = text, .prefix = std::popcount(mask), .megabits = speed_of_interface(at->ifa_name)});
  }
  return out;
}

Finding judge_interfaces(const std::vector<HostInterfaces>& ranks) {
  std::vector<const HostInterfaces*> hosts;
  std::string all;
  Finding out;
  nlohmann::json values = nlohmann::json::array();
  for (const HostInterfaces& rank : ranks) {
    if (std::any_of(hosts.begin(), hosts.end(), [&](const HostInterfaces* h) { return h->host == rank.host; })) continue;
    hosts.push_back(&rank);
    if (hosts.size() <= 8) all += (all.empty() ? "" : "; ") + interfaces_text(rank);
    values.push_back({{"host", rank.host}, {"interfaces", rank.interfaces}});
  }
  out = verdict(hosts, all);
  out.values["hosts"] = values;
  return out;
}

Probe interfaces_probe() {
  return {
      .name = "interfaces", .checks = {"interfaces"}, .share = std::chrono::seconds(3), .needs_peers = false, .ask = ask, .judge = judge};
}

}  // namespace chorale
