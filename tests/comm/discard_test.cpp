#include <catch2/catch.hpp>

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include <chorale/comm/backends/process_regions.hpp>
#include <chorale/comm/backends/thread_regions.hpp>
#include <chorale/comm/discard.hpp>

using namespace chorale;

namespace {

const std::size_t kPage = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));

Buffer bytes_at(std::byte* at, std::size_t count) { return {at, static_cast<std::int64_t>(count), DType::u8, {}}; }

/// Writes 16 pages, gives back a part that begins and ends inside pages, and looks at them through another rank's view.
void check_whole_pages_only(SharedRegions& regions) {
  const std::size_t bytes = 16 * kPage;
  const Region region = regions.create(bytes);
  const std::shared_ptr<std::byte> peer = regions.open(region.key, bytes);
  std::memset(region.memory.get(), 5, bytes);
  discard(bytes_at(region.memory.get() + kPage / 2, 10 * kPage));
  for (std::size_t i = 0; i < bytes; i += kPage / 4) {
    CAPTURE(i);
    CHECK(peer.get()[i] == std::byte(i >= kPage && i < 10 * kPage ? 0 : 5));
  }
  discard(bytes_at(region.memory.get() + 1, kPage));  // no whole page
  CHECK(peer.get()[1] == std::byte(5));
  peer.get()[3 * kPage] = std::byte(7);  // takes memory again
  CHECK(region.memory.get()[3 * kPage] == std::byte(7));
}

}  // namespace

TEST_CASE("discarded memory of threads reads as zero, in whole pages") {
  ThreadRegions regions;
  check_whole_pages_only(regions);
}

TEST_CASE("discarded memory of processes reads as zero for every rank and goes back to the system") {
  ProcessRegions regions;
  check_whole_pages_only(regions);
  const std::size_t bytes = 64 * kPage;
  const Region region = regions.create(bytes);
  const auto blocks = [&] {
    struct stat status {};
    REQUIRE(fstat(static_cast<int>(region.key.number), &status) == 0);
    return static_cast<std::size_t>(status.st_blocks) * 512;
  };
  std::memset(region.memory.get(), 1, bytes);
  CHECK(blocks() == bytes);
  discard(bytes_at(region.memory.get() + 16 * kPage, 32 * kPage));
  CHECK(blocks() == bytes / 2);
}
