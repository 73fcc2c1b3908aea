// Runs the threads of a block as contexts of their own on one thread of the host.
//
// A context runs until it waits; then the next one does. `ucontext` gives it a stack; from then on
// it is left and entered by jumps, which, unlike `swapcontext`, do not call the system. The order in
// which contexts run is ascending or descending: a kernel that lacks a barrier gives other results in
// one of the two.
#include "emulation.h"
#include <csetjmp>
#include <cxxabi.h>
#include <memory>
#include <string>
#include <ucontext.h>
#include <vector>

thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace {

enum class State { Ready, AtWarp, AtBlock, Done };
constexpr size_t STACK = 64 * 1024;

struct Thread {
    // Where it goes on, once it has started.
    jmp_buf here;
    State state = State::Done;
    std::unique_ptr<char[]> stack;
    // Told to the warp, alternately, so that a value is not overwritten while others read it.
    uint64_t told[2];
    unsigned turn;
};

struct Block {
    std::vector<Thread> threads;
    jmp_buf scheduler;
    unsigned current = 0, count = 0;
    const EmulatedKernel *kernel = nullptr;
    const void *const *arguments = nullptr;
    std::string failure;
};

thread_local Block block;

// Goes back to the scheduler; returns when it is this thread's turn again.
void hand_over() {
    if (_setjmp(block.threads[block.current].here) == 0) _longjmp(block.scheduler, 1);
}

// A thread, one block after another.
void start() {
    for (;;) {
        block.kernel->call(block.kernel->kernel, block.arguments);
        block.threads[block.current].state = State::Done;
        hand_over();
    }
}

void wait(State state) {
    block.threads[block.current].state = state;
    hand_over();
}

// Lets a thread run until it waits.
void enter(Thread &thread) {
    if (_setjmp(block.scheduler) != 0) return;
    if (thread.stack) _longjmp(thread.here, 1);
    thread.stack.reset(new char[STACK]);
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = thread.stack.get();
    context.uc_stack.ss_size = STACK;
    context.uc_link = nullptr;
    makecontext(&context, start, 0);
    setcontext(&context);
}

// Threads from `first` on that belong to the group and wait as `state`, or are done, become ready.
bool release(unsigned first, unsigned end, State state) {
    bool any = false;
    for (unsigned t = first; t < end; t += 1) {
        const State now = block.threads[t].state;
        if (now != state && now != State::Done) return false;
        any |= now == state;
    }
    for (unsigned t = first; any && t < end; t += 1) {
        if (block.threads[t].state == state) block.threads[t].state = State::Ready;
    }
    return any;
}

void run_block(bool descending) {
    for (unsigned t = 0; t < block.count; t += 1) {
        Thread &thread = block.threads[t];
        // A thread that failed stopped where it was.
        if (thread.state != State::Done) thread.stack.reset();
        thread.state = State::Ready;
        thread.turn = 0;
    }
    while (block.failure.empty()) {
        bool ran = false, done = true;
        for (unsigned i = 0; i < block.count && block.failure.empty(); i += 1) {
            const unsigned t = descending ? block.count - 1 - i : i;
            if (block.threads[t].state == State::Ready) {
                ran = true;
                block.current = t;
                threadIdx.x = t;
                enter(block.threads[t]);
            }
            done &= block.threads[t].state == State::Done;
        }
        if (done) return;
        bool released = release(0, block.count, State::AtBlock);
        for (unsigned w = 0; w < block.count; w += 32) {
            released |= release(w, std::min(w + 32, block.count), State::AtWarp);
        }
        if (!ran && !released) block.failure = "threads wait for each other at different places";
    }
}

} // namespace

void __syncthreads() { wait(State::AtBlock); }
void __syncwarp(unsigned) { wait(State::AtWarp); }

void emulation_fail(const char *why) {
    if (block.failure.empty()) block.failure = why;
    // It does not go on: what follows a failure has no meaning.
    for (;;) wait(State::AtBlock);
}

uint64_t emulation_exchange(uint64_t value, unsigned from) {
    Thread &self = block.threads[block.current];
    const unsigned warp = block.current / 32 * 32, turn = self.turn;
    self.told[turn] = value;
    self.turn ^= 1;
    wait(State::AtWarp);
    const unsigned other = warp + from;
    if (other >= block.count) emulation_fail("a value is asked of a thread that is not there");
    return block.threads[other].told[turn];
}

uint64_t emulation_told(unsigned by) {
    const unsigned other = block.current / 32 * 32 + by;
    if (other >= block.count) emulation_fail("a value is asked of a thread that is not there");
    return block.threads[other].told[block.threads[block.current].turn ^ 1];
}

unsigned emulation_ballot(bool vote) {
    Thread &self = block.threads[block.current];
    const unsigned warp = block.current / 32 * 32, turn = self.turn;
    self.told[turn] = vote;
    self.turn ^= 1;
    wait(State::AtWarp);
    unsigned votes = 0;
    for (unsigned t = warp; t < std::min(warp + 32, block.count); t += 1) {
        votes |= unsigned(block.threads[t].told[turn] != 0) << (t - warp);
    }
    return votes;
}

struct EmulatedSource {
    const char *name;
    const EmulatedKernel *kernels;
    size_t count;
};
extern const EmulatedSource EMULATED_SOURCES[];
extern const size_t EMULATED_SOURCE_COUNT;

// The name of a kernel with its template's arguments, from its lowered name.
static std::string demangled(const char *lowered) {
    int status = 0;
    char *text = abi::__cxa_demangle(lowered, nullptr, nullptr, &status);
    std::string name = text ? text : lowered;
    std::free(text);
    if (name.rfind("void ", 0) == 0) name.erase(0, 5);
    return name.substr(0, name.find('('));
}

// That name from the compiler's text, "… [with auto KERNEL = {anonymous}::name<0, 32>]".
static std::string undecorated(const char *pretty) {
    std::string name = pretty;
    const size_t qualified = name.rfind("::");
    if (qualified != std::string::npos) name.erase(0, qualified + 2);
    return name.substr(0, name.find_first_of(")]"));
}

// The name, and the sizes of the arguments, of the kernel of a source that has a lowered name;
// whether there is one.
extern "C" int emulated_kernel(const char *source, const char *lowered, const char **name,
                               const size_t **sizes, size_t *count) {
    const std::string wanted = demangled(lowered);
    for (size_t s = 0; s < EMULATED_SOURCE_COUNT; s += 1) {
        if (std::strcmp(EMULATED_SOURCES[s].name, source) != 0) continue;
        for (size_t k = 0; k < EMULATED_SOURCES[s].count; k += 1) {
            const EmulatedKernel &kernel = EMULATED_SOURCES[s].kernels[k];
            if (undecorated(kernel.pretty) != wanted) continue;
            *name = kernel.name;
            *sizes = kernel.sizes;
            *count = kernel.count;
            return 1;
        }
    }
    return 0;
}

// Runs a kernel on all its blocks; what was wrong is written to `why`, of which there is none if
// all went well.
extern "C" void emulated_launch(const char *source, const char *name, const unsigned *blocks,
                                unsigned threads, const void *const *arguments,
                                const size_t *sizes, size_t count, int descending, char *why,
                                size_t room) {
    const auto fail = [&](const std::string &reason) {
        std::strncpy(why, reason.c_str(), room - 1);
        why[room - 1] = 0;
    };
    why[0] = 0;
    const EmulatedKernel *kernel = nullptr;
    for (size_t s = 0; s < EMULATED_SOURCE_COUNT; s += 1) {
        if (std::strcmp(EMULATED_SOURCES[s].name, source) != 0) continue;
        for (size_t k = 0; k < EMULATED_SOURCES[s].count; k += 1) {
            const EmulatedKernel *found = &EMULATED_SOURCES[s].kernels[k];
            if (std::strcmp(found->name, name) == 0) kernel = found;
        }
    }
    if (!kernel) return fail(std::string(source) + " has no kernel of that name");
    if (kernel->count != count) {
        return fail("takes " + std::to_string(kernel->count) + " arguments, found " +
                    std::to_string(count));
    }
    for (size_t i = 0; i < count; i += 1) {
        if (kernel->sizes[i] != sizes[i]) {
            return fail("argument " + std::to_string(i) + " has " +
                        std::to_string(kernel->sizes[i]) + " bytes, found " +
                        std::to_string(sizes[i]));
        }
    }
    if (threads > 1024 || threads == 0) return fail("a block has 1 to 1024 threads");
    if (blocks[1] > 65535 || blocks[2] > 65535) return fail("more than 65535 blocks along y or z");
    block.kernel = kernel;
    block.arguments = arguments;
    block.count = threads;
    block.failure.clear();
    if (block.threads.size() < threads) block.threads.resize(threads);
    gridDim = {blocks[0], blocks[1], blocks[2]};
    blockDim = {threads, 1, 1};
    threadIdx = {};
    for (unsigned z = 0; z < blocks[2]; z += 1) {
        for (unsigned y = 0; y < blocks[1]; y += 1) {
            for (unsigned x = 0; x < blocks[0] && block.failure.empty(); x += 1) {
                blockIdx = {x, y, z};
                run_block(descending != 0);
            }
        }
    }
    if (!block.failure.empty()) fail(block.failure);
}
