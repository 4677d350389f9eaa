#include <chorale/train/copy_plan.hpp>

#include <algorithm>
#include <cstring>

namespace chorale {

namespace {

std::string mib(std::int64_t bytes) { return std::to_string((bytes + (1 << 20) - 1) >> 20) + " MiB"; }

CopyPlan one_copy(std::size_t ranks, const std::string& why) {
  return {.copy_of = std::vector<int>(ranks, 0), .copies = 1, .text = "one a node (" + why + ")"};
}

CopyPlan copy_a_domain(std::span<const NumaPlace> places) {
  CopyPlan plan;
  std::vector<std::int64_t> domains;
  for (const NumaPlace& place : places) {
    const auto found = std::find(domains.begin(), domains.end(), place.domain);
    plan.copy_of.push_back(static_cast<int>(found - domains.begin()));
    if (found == domains.end()) domains.push_back(place.domain);
  }
  plan.copies = static_cast<int>(domains.size());
  return plan;
}

}  // namespace

int CopyPlan::ranks_beside(int local) const {
  return static_cast<int>(std::count(copy_of.begin(), copy_of.end(), copy_of[static_cast<std::size_t>(local)]));
}

int CopyPlan::place_of(int local) const {
  return static_cast<int>(std::count(copy_of.begin(), copy_of.begin() + local, copy_of[static_cast<std::size_t>(local)]));
}

int CopyPlan::first_of(int copy) const { return static_cast<int>(std::find(copy_of.begin(), copy_of.end(), copy) - copy_of.begin()); }

CopyPlan plan_copies(const std::string& wish, std::span<const NumaPlace> places, std::int64_t bytes) {
  if (wish == "node") return one_copy(places.size(), "parallel.copies = node");
  CopyPlan plan = copy_a_domain(places);
  if (plan.copies == 1) return one_copy(places.size(), "its ranks run on one NUMA domain");
  const std::string numa = "one a NUMA domain, " + std::to_string(plan.copies) + " a node (";
  plan.text = numa + "parallel.copies = numa)";
  if (wish == "numa") return plan;
  if (std::any_of(places.begin(), places.end(), [](const NumaPlace& place) { return place.bound == 0; }))
    return one_copy(places.size(), "ranks are not bound to NUMA domains");
  std::int64_t cache = 0;
  for (const NumaPlace& place : places) cache = std::max(cache, place.cache_bytes);
  if (bytes <= cache) return one_copy(places.size(), mib(bytes) + " fit in the last-level cache of " + mib(cache));
  plan.text = numa + mib(bytes) + " exceed the last-level cache of " + mib(cache) + ")";
  return plan;
}

CopyPlan plan_copies(Communicator& node, const std::string& wish, std::int64_t bytes, const std::function<int(int local)>& domain_of) {
  NumaPlace mine = own_numa_place();
  if (domain_of) mine.domain = domain_of(node.rank()), mine.bound = 1;
  std::vector<NumaPlace> places;
  for (const std::vector<std::byte>& from : all_gather_bytes(node, std::as_bytes(std::span(&mine, 1)), "NUMA places"))
    std::memcpy(&places.emplace_back(), from.data(), sizeof(NumaPlace));
  return plan_copies(wish, places, bytes);
}

}  // namespace chorale
