// SPDX-License-Identifier: Apache-2.0
import Domain

/// A plan's jobs as CronJobs (batch/v1), for `kubectl apply -f -`.
public enum KubernetesCronJobs {
    /// - Parameters:
    ///   - image: the container image that has salvor.
    ///   - namespace: nil: whichever is current.
    /// - Throws: `Failure(.configuration)` for times that a CronJob cannot say.
    public static func file(_ plan: ScheduledPlan, image: String, namespace: String?) throws -> ScheduleFile {
        var documents: [String] = []
        for job in plan.jobs {
            let calendar = plan.schedule.calendar(job)
            for (index, expression) in calendar.enumerated() {
                let suffix = calendar.count > 1 ? "-\(index + 1)" : ""
                let name = try resourceName("salvor-\(job.rawValue)-\(plan.name)\(suffix)", plan)
                let fields = try CronLines.fields(expression, job, plan, takesZone: true)
                documents.append(
                    document(plan, job, name: name, fields: fields, zone: expression.zone, image, namespace))
            }
        }
        let text = ScheduleFile.marker(plan.name) + "\n" + documents.joined(separator: "---\n")
        return ScheduleFile(name: "salvor-\(plan.name).yaml", text: text)
    }

    /// Names are lower-case letters, digits and hyphens; a CronJob's has at most 52, since its jobs' names are longer.
    private static func resourceName(_ text: String, _ plan: ScheduledPlan) throws -> String {
        let name = text.lowercased().map { $0.isLetter || $0.isNumber ? $0 : "-" }
        guard name.count <= 52, name.last != "-" else {
            throw Failure(
                .configuration, "'\(String(name))' cannot be the name of a CronJob, as plan '\(plan.name)' would need",
                hint: "Names have at most 52 letters, digits and hyphens; rename the plan.")
        }
        return String(name)
    }

    /// cron takes 0 and 7 for Sunday, Kubernetes 0 only ("End of range (7) above maximum (6)").
    private static func withSundayFirst(_ fields: String) -> String {
        var words = fields.split(separator: " ").map(String.init)
        guard let week = words.popLast() else { return fields }
        let days = week.split(separator: ",").map { $0 == "7" ? "0" : String($0) }.sorted()
        return (words + [days.joined(separator: ",")]).joined(separator: " ")
    }

    private static func document(
        _ plan: ScheduledPlan, _ job: Schedule.Job, name: String, fields: String, zone: String?, _ image: String,
        _ namespace: String?
    ) -> String {
        let place = namespace.map { "\n  namespace: \(quoted($0))" } ?? ""
        let clock =
            zone.map { "\n  timeZone: \(quoted($0))" }
            ?? "\n  # Without a timeZone: by the clock of the cluster's controllers."
        let arguments = plan.arguments(job).map { "\n                - \(quoted($0))" }.joined()
        // Nothing in the cluster is to be had with what is not mounted.
        let account =
            plan.usesServiceAccount
            ? "serviceAccountName: salvor\n          automountServiceAccountToken: true"
            : "automountServiceAccountToken: false"
        let file = String(plan.file.split(separator: "/").last ?? "plan.yaml")
        let variables =
            plan.variables.isEmpty
            ? "" : "\n              envFrom:\n                - secretRef: {name: salvor-environment}"
        return """
            # The ConfigMap salvor-configuration holds \(file) and what else is in /etc/salvor (salvor.yaml, recipients), the
            # Secret salvor-credentials the files of credential: references, the claim salvor-state local notes, bases and the
            # keyring. Where a service account is named, it needs the rights that docs/transports.md lists.
            apiVersion: batch/v1
            kind: CronJob
            metadata:
              name: \(quoted(name))\(place)
              labels: {app.kubernetes.io/name: salvor, app.kubernetes.io/component: \(quoted(job.rawValue))}
            spec:
              schedule: \(quoted(withSundayFirst(fields)))\(clock)
              concurrencyPolicy: Forbid
              # A run that could not begin on time is made up for within this many seconds.
              startingDeadlineSeconds: 21600
              successfulJobsHistoryLimit: 3
              failedJobsHistoryLimit: 7
              jobTemplate:
                spec:
                  # salvor tries again by itself (retries); a second pod would only make a second bundle.
                  backoffLimit: 0
                  template:
                    spec:
                      restartPolicy: Never
                      \(account)
                      terminationGracePeriodSeconds: 600
                      securityContext:
                        runAsNonRoot: true
                        runAsUser: 64000
                        fsGroup: 64000
                        seccompProfile: {type: RuntimeDefault}
                      containers:
                        - name: salvor
                          image: \(quoted(image))
                          command: ["salvor"]
                          args:\(arguments)
                          env:
                            - {name: SALVOR_CONFIG, value: /etc/salvor}
                            - {name: SALVOR_STATE_DIR, value: /var/lib/salvor}
                            - {name: GNUPGHOME, value: /var/lib/salvor/gnupg}
                            - {name: CREDENTIALS_DIRECTORY, value: /run/credentials/salvor}\(variables)
                          securityContext:
                            allowPrivilegeEscalation: false
                            readOnlyRootFilesystem: true
                            capabilities: {drop: [ALL]}
                          volumeMounts:
                            - {name: configuration, mountPath: /etc/salvor, readOnly: true}
                            - {name: credentials, mountPath: /run/credentials/salvor, readOnly: true}
                            - {name: state, mountPath: /var/lib/salvor}
                            - {name: temporary, mountPath: /tmp}
                      volumes:
                        - name: configuration
                          # A ConfigMap has no folders, and plans are in one.
                          projected:
                            sources:
                              - configMap: {name: salvor-configuration}
                              - configMap:
                                  name: salvor-configuration
                                  items: [{key: \(quoted(file)), path: \(quoted("plans/\(file)"))}]
                        - name: credentials
                          secret: {secretName: salvor-credentials, optional: true, defaultMode: 288}
                        - name: state
                          persistentVolumeClaim: {claimName: salvor-state}
                        - name: temporary
                          emptyDir: {}

            """
    }

    /// As JSON writes texts, which YAML reads the same.
    private static func quoted(_ text: String) -> String {
        "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
    }
}
