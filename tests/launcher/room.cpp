#include <catch2/catch.hpp>

#include <sys/resource.h>

#include <chorale/launcher/room.hpp>

using namespace chorale;

namespace {
RankPlan by_mpirun(int ranks, const std::string& hosts = "") {
  RankPlan out;
  out.how = RankPlan::How::mpirun, out.ranks = ranks, out.hosts = hosts;
  return out;
}
}  // namespace

TEST_CASE("more ranks need more room, those on other nodes none here") {
  const Room two = room_for(by_mpirun(2)), four = room_for(by_mpirun(4));
  CHECK(four.files > two.files);
  CHECK(four.threads > two.threads);
  const Room elsewhere = room_for(by_mpirun(4, "a:2,b:2"));
  CHECK(elsewhere.threads < four.threads);
  CHECK(elsewhere.address_bytes < four.address_bytes);
  RankPlan threads = by_mpirun(4);
  threads.how = RankPlan::How::threads;
  CHECK(room_for(threads).address_bytes > 3 * room_for({}).address_bytes);
}

TEST_CASE("what is tried is given back, and a limit that may be raised is") {
  const RankPlan plan = by_mpirun(2);
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_NOFILE, &before) == 0);
  const rlimit low = {20, before.rlim_max};
  REQUIRE(::setrlimit(RLIMIT_NOFILE, &low) == 0);
  CHECK_NOTHROW(check_room(plan));
  rlimit raised{};
  ::getrlimit(RLIMIT_NOFILE, &raised);
  CHECK(static_cast<std::int64_t>(raised.rlim_cur) == room_for(plan).files);
  ::setrlimit(RLIMIT_NOFILE, &before);
  for (int i = 0; i < 20; ++i) CHECK_NOTHROW(check_room(plan));
}
