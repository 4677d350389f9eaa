file(GLOB launcher_sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/launcher/*.cpp ${PROJECT_SOURCE_DIR}/launcher/spawn/*.cpp
     ${PROJECT_SOURCE_DIR}/launcher/bench/*.cpp ${PROJECT_SOURCE_DIR}/launcher/slurm/*.cpp ${PROJECT_SOURCE_DIR}/launcher/supervisor/*.cpp
     ${PROJECT_SOURCE_DIR}/launcher/doctor/*.cpp ${PROJECT_SOURCE_DIR}/launcher/collab/*.cpp
     ${PROJECT_SOURCE_DIR}/launcher/compare/*.cpp)
if(launcher_sources)
  list(FILTER launcher_sources EXCLUDE REGEX "launcher/main.cpp$")
  # Programs' files have words of their own that are called the same in each.
  set(alone ${launcher_sources})
  list(FILTER alone INCLUDE REGEX "launcher/(cmd_|doctor/|supervisor/|compare/|collab/study_)")
  set_source_files_properties(${alone} PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
  # Tests link the launcher's parts; main.cpp alone is the program.
  add_library(chorale_launcher STATIC ${launcher_sources})
  target_compile_options(chorale_launcher PRIVATE $<$<CONFIG:Release>:-O1>)  # it waits for others: a quarter less time to compile
  target_link_libraries(chorale_launcher PUBLIC chorale_settings chorale Boost::program_options fmt::fmt nlohmann_json::nlohmann_json Threads::Threads)
  if(EXISTS ${PROJECT_SOURCE_DIR}/launcher/main.cpp)
    add_executable(chorale_program launcher/main.cpp)
    set_target_properties(chorale_program PROPERTIES OUTPUT_NAME chorale)
    target_link_libraries(chorale_program PRIVATE chorale_launcher)
  endif()
endif()
