#include <chorale/launcher/doctor/report.hpp>

#include <catch2/catch.hpp>

namespace chorale {

TEST_CASE("warnings and skipped checks leave the doctor's code at 0", "[launcher]") {
  const DoctorReport report = {.findings = {ok("a", "x"), warning("b", "y", "z"), skipped("c", "why")}};
  CHECK(report.is_ok());
  CHECK(report.code() == 0);
}

TEST_CASE("the first failure gives the code", "[launcher]") {
  const DoctorReport report = {
      .findings = {warning("a", "x", "y"), failed("b", ExitCode::io, "full", "free some"), failed("c", ExitCode::comm, "z", "w")}};
  CHECK_FALSE(report.is_ok());
  CHECK(report.code() == 74);
}

TEST_CASE("the report for programs has name, state, found and remedy of each check and survives foreign bytes", "[launcher]") {
  DoctorReport report = {.findings = {failed("hosts", ExitCode::comm, "b says \xff\x1b[2J", "leave it out"), ok("mpi", "fine")},
                         .ranks = 3,
                         .launcher = "mpirun"};
  report.findings[1].values["linked"] = "Open MPI";
  const auto json = nlohmann::json::parse(report.json());
  CHECK(json["ok"] == false);
  CHECK(json["code"] == 75);
  CHECK(json["ranks"] == 3);
  REQUIRE(json["checks"].size() == 2);
  CHECK(json["checks"][0]["name"] == "hosts");
  CHECK(json["checks"][0]["state"] == "failed");
  CHECK(json["checks"][0]["remedy"] == "leave it out");
  CHECK(json["checks"][0]["code"] == 75);
  CHECK(json["checks"][1]["values"]["linked"] == "Open MPI");
  CHECK(report.text().find('\x1b') == std::string::npos);
}

}  // namespace chorale
