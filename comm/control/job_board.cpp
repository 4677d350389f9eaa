#include <chorale/comm/control/job_board.hpp>

#include <pmix.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>

namespace chorale {

namespace {

constexpr const char* kKey = "chorale.control";

/// PMIx answers on its own thread, perhaps after we have given up.
struct Answer {
  std::mutex mutex;
  std::condition_variable come;
  bool is_there = false;
  pmix_status_t status = PMIX_SUCCESS;

  void set(pmix_status_t value) {
    const std::lock_guard lock(mutex);
    status = value, is_there = true;
    come.notify_all();
  }
  bool within(std::chrono::milliseconds limit) {
    std::unique_lock lock(mutex);
    return come.wait_for(lock, limit, [this] { return is_there; }) && status == PMIX_SUCCESS;
  }
};

bool put(const std::string& word) {
  pmix_value_t value;
  std::memset(&value, 0, sizeof value);
  value.type = PMIX_STRING;
  value.data.string = const_cast<char*>(word.c_str());
  return PMIx_Put(PMIX_GLOBAL, kKey, &value) == PMIX_SUCCESS && PMIx_Commit() == PMIX_SUCCESS;
}

bool meet(std::chrono::milliseconds limit) {
  const auto answer = std::make_shared<Answer>();
  auto* handed = new std::shared_ptr<Answer>(answer);
  pmix_info_t collect;
  bool yes = true;
  PMIX_INFO_LOAD(&collect, PMIX_COLLECT_DATA, &yes, PMIX_BOOL);
  const auto done = [](pmix_status_t status, void* data) {
    const std::unique_ptr<std::shared_ptr<Answer>> owner(static_cast<std::shared_ptr<Answer>*>(data));
    (*owner)->set(status);
  };
  const pmix_status_t started = PMIx_Fence_nb(nullptr, 0, &collect, 1, done, handed);
  if (started == PMIX_SUCCESS) return answer->within(limit);
  delete handed;
  return started == PMIX_OPERATION_SUCCEEDED;
}

}  // namespace

JobBoard::JobBoard() { has_joined_ = std::getenv("PMIX_NAMESPACE") && PMIx_Init(nullptr, nullptr, 0) == PMIX_SUCCESS; }

JobBoard::~JobBoard() {
  if (has_joined_) PMIx_Finalize(nullptr, 0);
}

std::string JobBoard::share(const std::string& word, std::chrono::milliseconds limit) {
  pmix_proc_t self;
  if (!has_joined_ || PMIx_Init(&self, nullptr, 0) != PMIX_SUCCESS) return "";
  std::string out;
  if ((self.rank != 0 || put(word)) && meet(limit)) {
    pmix_proc_t first;
    PMIX_LOAD_PROCID(&first, self.nspace, 0);
    pmix_value_t* value = nullptr;
    if (PMIx_Get(&first, kKey, nullptr, 0, &value) == PMIX_SUCCESS && value) {
      if (value->type == PMIX_STRING && value->data.string) out = value->data.string;
      PMIX_VALUE_RELEASE(value);
    }
  }
  PMIx_Finalize(nullptr, 0);  // only counts down
  return out;
}

std::string pmix_library() {
  const std::string all = PMIx_Get_version();  // "OpenPMIx 4.2.2 (PMIx Standard: ...)"
  return all.substr(0, all.find(" ("));
}

}  // namespace chorale
