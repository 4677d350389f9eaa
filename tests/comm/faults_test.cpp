// Faults happen on the rank, at the step and the place that were asked for, once.
#include <catch2/catch.hpp>

#include <chrono>

#include <chorale/comm/faults.hpp>
#include <chorale/core/base/error.hpp>

using namespace chorale;

TEST_CASE("a fault is KIND@RANK:STEP[:WHERE]") {
  const Fault fault = parse_fault("kill9@3:17:save:manifest");
  CHECK(fault.kind == Fault::Kind::kill9);
  CHECK(fault.rank == 3);
  CHECK(fault.step == 17);
  CHECK(fault.where == "save:manifest");
  CHECK_FALSE(fault.repeats);
  CHECK(parse_fault("kill9@1:300!").repeats);
  CHECK(parse_fault("kill9@1:300!").step == 300);
  CHECK(parse_fault("throw@1:300!:backward").where == "backward");
  for (const char* wrong : {"kill9@1:!", "kill9@1:3!!", "kill9@1!:3", "", "kill9", "kill9@1", "kill9@:1",
                            "kill9@1:", "kill9@1:2:", "bomb@1:2", "kill9@-1:2", "kill9@1:x"})
    CHECK_THROWS_AS(parse_fault(wrong), UsageError);
}

TEST_CASE("a disk is full where a checkpoint is written, and nowhere else") {
  Faults faults({"full-disk@0:3", "full-disk@0:5:save:rename"}, 0);
  faults.begin_step(4);
  CHECK_NOTHROW(faults.at("save:manifest"));
  CHECK_THROWS_AS(faults.at("save:part_written"), IoError);
  faults.begin_step(5);
  CHECK_THROWS_AS(faults.at("save:rename"), IoError);
  CHECK_NOTHROW(faults.at("save:rename"));
  for (const char* wrong : {"full-disk@0:3:forward", "full-disk@0:3:save", "full-disk@0:3:save:snapshot"})
    CHECK_THROWS_AS(parse_fault(wrong), UsageError);
}

TEST_CASE("a fault happens at its step and place on its rank, once") {
  Faults faults({"throw@1:2:evaluate", "throw@0:1"}, 1);
  faults.begin_step(1);
  CHECK_NOTHROW(faults.at("evaluate"));
  faults.begin_step(2);
  CHECK_NOTHROW(faults.at("forward"));
  CHECK(faults.unmet() == std::vector<std::string>{"throw@1:2:evaluate"});
  CHECK_THROWS_WITH(faults.at("evaluate"), Catch::Contains("throw@1:2:evaluate"));
  CHECK_NOTHROW(faults.at("evaluate"));
  CHECK(faults.unmet().empty());
}

TEST_CASE("what only the caller can spoil is taken once, at its step") {
  Faults faults({"nan@0:3", "shape@0:3:gradients"}, 0);
  faults.begin_step(2);
  CHECK(faults.take(Fault::Kind::nan) == nullptr);
  faults.begin_step(3);
  CHECK(faults.take(Fault::Kind::nan) != nullptr);
  CHECK(faults.take(Fault::Kind::nan) == nullptr);
  CHECK(faults.take(Fault::Kind::shape, "parameters") == nullptr);
  CHECK(faults.take(Fault::Kind::shape, "gradients") != nullptr);
}

TEST_CASE("a slow rank is slow once a step from its step on") {
  Faults faults({"sleep@0:2"}, 0);
  const auto ms_of = [&](std::int64_t step) {
    const auto start = std::chrono::steady_clock::now();
    faults.begin_step(step);
    faults.at("forward"), faults.at("forward");
    return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - start).count();
  };
  CHECK(ms_of(1) < 40);
  CHECK(ms_of(2) >= 50);
  CHECK(ms_of(3) >= 50);
}
