package farspan.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.ManagementFactory;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;
import software.amazon.event.ruler.GenericMachine;

/**
 * Runs event-ruler over one set of the benchmark, as bench/pattern_worker.py runs Farspan's matcher:
 * the same files, the same commands on standard input, the same JSON lines on standard output.
 */
public final class RulerWorker {
    private static final OperatingSystemMXBean SYSTEM =
            ManagementFactory.getPlatformMXBean(OperatingSystemMXBean.class);
    private static final int CHUNK_EVENTS = 64;
    private static final int WARM_EVENTS = 640_000;

    private final GenericMachine<Integer> machine = new GenericMachine<>();
    private final List<String> rules;
    private final List<String> events;
    private long matches;

    private RulerWorker(List<String> rules, List<String> events) {
        this.rules = rules;
        this.events = events;
    }

    public static void main(String[] arguments) throws Exception {
        List<String> rules = Files.readAllLines(Path.of(arguments[0]), StandardCharsets.UTF_8);
        List<String> events = Files.readAllLines(Path.of(arguments[1]), StandardCharsets.UTF_8);
        int checked = Integer.parseInt(arguments[2]);
        RulerWorker worker = new RulerWorker(rules, events);
        worker.load();
        worker.check(checked);
        worker.warm(Double.parseDouble(arguments[3]));
        BufferedReader commands = new BufferedReader(new InputStreamReader(System.in));
        for (String line = commands.readLine(); line != null; line = commands.readLine()) {
            String[] words = line.split(" ");
            if (words[0].equals("pass")) {
                say("\"events_per_second\":%.3f", worker.pass(Double.parseDouble(words[1])));
            } else if (words[0].equals("remove")) {
                worker.remove(Integer.parseInt(words[1]));
            }
        }
    }

    private void load() throws Exception {
        long before = usedBytes();
        long began = cpuNanos();
        for (int number = 0; number < rules.size(); number++) {
            machine.addRule(number, rules.get(number));
        }
        double seconds = secondsSince(began);
        say("\"engine\":\"event-ruler\",\"add_us\":%.3f,\"bytes_per_rule\":%.1f",
                seconds * 1e6 / rules.size(), (usedBytes() - before) / (double) rules.size());
    }

    private void check(int checked) throws Exception {
        long sum = 0;
        long found = 0;
        for (int number = 0; number < Math.min(checked, events.size()); number++) {
            for (int rule : machine.rulesForJSONEvent(events.get(number))) {
                sum += (number + 1L) * (rule + 1L);
                found++;
            }
        }
        say("\"checksum\":%d,\"matches\":%d", sum, found);
    }

    private void warm(double seconds) throws Exception {
        long began = cpuNanos();
        int events = 0;
        while (events < WARM_EVENTS && secondsSince(began) < seconds) {
            events += run(events, CHUNK_EVENTS);
        }
        say("\"warm_events\":%d", events);
    }

    private double pass(double seconds) throws Exception {
        long began = cpuNanos();
        int count = 0;
        while (secondsSince(began) < seconds) {
            count += run(count, CHUNK_EVENTS);
        }
        return count / secondsSince(began);
    }

    private int run(int from, int count) throws Exception {
        for (int number = from; number < from + count; number++) {
            matches += machine.rulesForJSONEvent(events.get(number % events.size())).size();
        }
        return count;
    }

    /** Takes out every rule whose number divides by step, and times it. */
    private void remove(int step) throws Exception {
        long began = cpuNanos();
        int removed = 0;
        for (int number = 0; number < rules.size(); number += step) {
            machine.deleteRule(number, rules.get(number));
            removed++;
        }
        say("\"remove_us\":%.3f,\"total_matches\":%d", secondsSince(began) * 1e6 / removed, matches);
    }

    private static double secondsSince(long began) {
        return (cpuNanos() - began) / 1e9;
    }

    /** The time this process had a core, compiler and collector included: others do not count. */
    private static long cpuNanos() {
        return SYSTEM.getProcessCpuTime();
    }

    private static long usedBytes() {
        for (int round = 0; round < 3; round++) {
            System.gc();
        }
        Runtime runtime = Runtime.getRuntime();
        return runtime.totalMemory() - runtime.freeMemory();
    }

    private static void say(String members, Object... values) {
        System.out.println("{" + String.format(Locale.ROOT, members, values) + "}");
        System.out.flush();
    }
}
