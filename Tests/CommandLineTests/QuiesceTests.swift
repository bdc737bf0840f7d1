// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import TestSupport
import Testing

/// An application that was paused is resumed, whatever becomes of salvor.
@Suite("Paused applications", .serialized)
struct QuiesceTests {
    /// A site whose freeze stands still once the application is paused.
    private func stalling() async throws -> GroupSite {
        let group = try await GroupSite.make(quiesce: GroupSite.files)
        let folder = group.site.folder
        try group.servers.precede(
            "psql",
            "[ -e \(folder("paused")) ] && { touch \(folder("reached")); exec sleep 600; }\nexec \"$REAL\" \"$@\"")
        return group
    }

    private func again(_ group: GroupSite) throws {
        for name in ["reached", "resumed"] where group.exists(name) {
            try FileManager.default.removeItem(atPath: group.site.folder(name))
        }
    }

    @Test("SIGINT and kill -9 while it is paused: it is resumed at once, and nothing else is left")
    func killed() async throws {
        let group = try await stalling()
        for signal in [SIGINT, SIGTERM, SIGKILL] {
            try again(group)
            let outcome = try await group.site.host.run(
                ["backup"], when: { group.exists("reached") }, signal: signal)
            #expect(outcome.status == [SIGINT: 130, SIGTERM: 143, SIGKILL: 137][signal], "\(outcome)")
            try await group.expectSoon("it was not resumed after signal \(signal)") { try group.resumed() == 1 }
            #expect(!group.exists("paused"))
            try await group.expectSoon("the note is left") { !FileManager.default.fileExists(atPath: group.note) }
            try await group.expectSoon("the watchdog is left") { try group.watchdogs().isEmpty }
            try await group.expectNothingHeld()
            #expect(try await group.site.bundles().isEmpty)
        }
        try await group.servers.postgres.stop()
    }

    @Test("when the watchdog dies with salvor, doctor resumes it, and so does the next run")
    func everybodyKilled() async throws {
        let group = try await stalling()
        let site = group.site
        for command in [["doctor"], ["backup"]] {
            try again(group)
            let outcome = try await site.host.run(
                ["backup"],
                when: {
                    guard group.exists("reached"), let dogs = try? group.watchdogs(), !dogs.isEmpty else {
                        return false
                    }
                    // Everything of the control group at once, as the kernel does when memory is short.
                    for dog in dogs { kill(dog, SIGKILL) }
                    return true
                })
            #expect(outcome.status == 137)
            try await group.expectSoon("the watchdog lives") { try group.watchdogs().isEmpty }
            #expect(try group.resumed() == 0 && group.exists("paused"), "nobody was left to resume it")
            #expect(FileManager.default.fileExists(atPath: group.note))
            // The stall is over with the pause.
            let next = try await site.host.run(command)
            #expect(try group.resumed() == (command == ["doctor"] ? 1 : 2), "\(next)")
            #expect((next.output + next.errors).contains("the application that 'touch' paused"), "\(next)")
            #expect(!FileManager.default.fileExists(atPath: group.note))
            if command == ["doctor"] {
                #expect(!group.exists("paused"))
                #expect(next.output.contains("recovery group") && next.output.contains("cache, app-db, search"))
                #expect(try await !site.ok(["doctor"]).contains("paused application"))
                try group.servers.precede(
                    "psql",
                    "[ -e \(site.folder("paused")) ] && [ ! -e \(site.folder("reached")) ] && "
                        + "{ touch \(site.folder("reached")); exec sleep 600; }\nexec \"$REAL\" \"$@\"")
            } else {
                #expect(next.status == 0, "\(next)")
            }
        }
        try await group.servers.postgres.stop()
    }

    @Test(
        "it is not paused longer than its time limit: the freeze is given up, and the others go on without the slow one"
    )
    func limited() async throws {
        let group = try await stalling()
        let site = group.site
        let plan = try String(contentsOfFile: site.folder("plan.yaml"), encoding: .utf8)
        try site.folder.write(
            "plan.yaml", plan.replacingOccurrences(of: "resume: [", with: "time-limit: 2s, resume: ["))
        let outcome = try await site.host.run(["backup"])
        #expect(outcome.status == 3, "\(outcome)")
        #expect(
            outcome.output.contains("was not frozen within the 2s that the application may be paused"), "\(outcome)")
        #expect(try group.resumed() == 2 && !group.exists("paused"))
        try await group.expectNothingHeld()
        try await group.servers.postgres.stop()
    }

    @Test("a pause that fails is undone and nothing is captured; a resume that fails is told, and tried again later")
    func failing() async throws {
        let group = try await GroupSite.make(
            quiesce: """
                {pause: [sh, -c, "touch $DIR/paused; exit $(cat $DIR/pause-status)"], \
                resume: [sh, -c, "test -e $DIR/may-resume && rm -f $DIR/paused && echo resumed >>$DIR/resumed"]}
                """)
        let site = group.site
        try site.folder.write("pause-status", "7")
        try site.folder.write("may-resume", "")
        let refused = try await site.host.run(["backup"])
        #expect(refused.status == 4 && refused.errors.contains("hook pause (sh) failed (exit status 7)"), "\(refused)")
        #expect(try group.resumed() == 1 && !group.exists("paused"))
        #expect(try await site.bundles().isEmpty)

        try site.folder.write("pause-status", "0")
        try FileManager.default.removeItem(atPath: site.folder("may-resume"))
        let told = try await site.host.run(["backup"])
        #expect(told.status == 1 && told.output.contains("could not be resumed"), "\(told)")
        #expect(told.output.contains("FAILED nightly/hooks"), "\(told)")
        #expect(try await site.bundles().count == 1 && group.exists("paused"))
        #expect(FileManager.default.fileExists(atPath: group.note))
        let doctor = try await site.host.run(["doctor"])
        #expect(doctor.status == 10 && doctor.output.contains("could not be resumed"), "\(doctor)")

        try site.folder.write("may-resume", "")
        try await site.ok(["backup"])
        #expect(!group.exists("paused") && !FileManager.default.fileExists(atPath: group.note))
        try await group.expectNothingHeld()
        try await group.servers.postgres.stop()
    }
}
