// The networks that each host is in.
#pragma once
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include <chorale/launcher/doctor/finding.hpp>

namespace chorale {

struct Interface {
  std::string name = {};
  std::string address = {};    // IPv4, "10.0.0.7"
  int prefix = 0;              // length of the network's part
  std::int64_t megabits = -1;  // that the driver tells; -1: it does not
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(Interface, name, address, prefix, megabits)

struct HostInterfaces {
  int rank = 0;
  std::string host = {};
  std::vector<Interface> interfaces = {};  // that are up; not the loopback
  std::string include = {}, exclude = {};  // Open MPI's btl_tcp_if_include and btl_tcp_if_exclude
};
NLOHMANN_DEFINE_TYPE_NON_INTRUSIVE(HostInterfaces, rank, host, interfaces, include, exclude)

/// Of this host, those that are up, without the loopback.
std::vector<Interface> own_interfaces();

/// interfaces. The first rank of each host counts.
Finding judge_interfaces(const std::vector<HostInterfaces>& ranks);

}  // namespace chorale
