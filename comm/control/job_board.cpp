#include <chorale/comm/control/job_board.hpp>

#include <pmix.h>

#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <thread>

namespace chorale {

namespace {

constexpr const char* kKey = "chorale.control";
constexpr auto kAskAgain = std::chrono::milliseconds(20);

/// PMIx answers on its own thread, perhaps after we have given up.
struct Answer {
  std::mutex mutex;
  std::condition_variable come;
  bool is_there = false;
  pmix_status_t status = PMIX_SUCCESS;
  std::string word;

  void set(pmix_status_t of_request, const pmix_value_t* value) {
    const std::lock_guard lock(mutex);
    status = of_request;
    if (status == PMIX_SUCCESS && value && value->type == PMIX_STRING && value->data.string) word = value->data.string;
    is_there = true;
    come.notify_all();
  }
};

void take(pmix_status_t status, pmix_value_t* value, void* data) {
  const std::unique_ptr<std::shared_ptr<Answer>> owner(static_cast<std::shared_ptr<Answer>*>(data));
  (*owner)->set(status, value);
}

/// One question, which the node's server gives up after some seconds of its own. Null: it cannot be asked, or no answer has come in time.
std::shared_ptr<Answer> ask(const pmix_proc_t& process, std::chrono::milliseconds limit) {
  const auto answer = std::make_shared<Answer>();
  auto* handed = new std::shared_ptr<Answer>(answer);
  if (PMIx_Get_nb(&process, kKey, nullptr, 0, take, handed) != PMIX_SUCCESS) {
    delete handed;
    return nullptr;
  }
  std::unique_lock lock(answer->mutex);
  return answer->come.wait_for(lock, limit, [&] { return answer->is_there; }) ? answer : nullptr;
}

}  // namespace

JobBoard::JobBoard() {
  pmix_proc_t self;
  if (std::getenv("PMIX_NAMESPACE") && PMIx_Init(&self, nullptr, 0) == PMIX_SUCCESS) job_ = self.nspace;
}

JobBoard::~JobBoard() {
  if (has_joined()) PMIx_Finalize(nullptr, 0);
}

bool JobBoard::put(const std::string& word) {
  if (!has_joined()) return false;
  pmix_value_t value;
  std::memset(&value, 0, sizeof value);
  value.type = PMIX_STRING;
  value.data.string = const_cast<char*>(word.c_str());
  return PMIx_Put(PMIX_GLOBAL, kKey, &value) == PMIX_SUCCESS && PMIx_Commit() == PMIX_SUCCESS;
}

JobBoard::Reading JobBoard::get(int rank, std::chrono::milliseconds limit) {
  if (!has_joined()) return {};
  pmix_proc_t of;
  PMIX_LOAD_PROCID(&of, job_.c_str(), static_cast<pmix_rank_t>(rank));
  const auto until = std::chrono::steady_clock::now() + limit;
  for (auto left = limit; left.count() > 0;) {
    const auto answer = ask(of, left);
    if (answer && answer->status == PMIX_SUCCESS) return {.word = answer->word};
    if (answer && answer->status != PMIX_ERR_TIMEOUT && answer->status != PMIX_ERR_NOT_FOUND) return {};
    std::this_thread::sleep_for(kAskAgain);
    left = std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
  }
  return {.is_late = true};
}

std::string pmix_library() {
  const std::string all = PMIx_Get_version();  // "OpenPMIx 4.2.2 (PMIx Standard: ...)"
  return all.substr(0, all.find(" ("));
}

}  // namespace chorale
