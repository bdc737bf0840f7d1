// SPDX-License-Identifier: Apache-2.0

extension ArangoDouble {
    /// Both tools in one script: it knows which it is by its name. Layout of a dump: `dump.json`, `ENCRYPTION`, and for
    /// each collection `NAME_DIGEST.structure.json` and `NAME_DIGEST.data.json` with one document on each line.
    static let tool = #"""
        #!/usr/bin/python3
        import base64, hashlib, json, os, sys, urllib.parse, urllib.request
        dumping = os.path.basename(sys.argv[0]) == "arangodump"
        args = sys.argv[1:]
        if args == ["--version"]:
            print("VERSION\n\narchitecture: 64bit\nserver-version: none")
            sys.exit(0)
        common = {"--server.endpoint", "--server.username", "--server.password", "--server.authentication",
                  "--server.database", "--include-system-collections", "--threads", "--progress"}
        own = {"--output-directory", "--compress-output", "--overwrite"} if dumping else \
              {"--input-directory", "--create-database", "--overwrite"}
        options = {}
        while args:
            name = args.pop(0)
            if name not in common | own or not args:
                sys.exit(f"FATAL unknown option or missing value: {name}")
            value = args.pop(0)
            # A name between two @ is replaced by the variable's value.
            if len(value) > 2 and value[0] == "@" == value[-1]:
                if value[1:-1] not in os.environ:
                    sys.exit(f"FATAL no variable {value}")
                value = os.environ[value[1:-1]]
            options[name] = value
        if not options["--server.endpoint"].startswith("http+tcp://"):
            sys.exit("FATAL bad endpoint")
        base = "http" + options["--server.endpoint"][8:]
        login = base64.b64encode(f"{options['--server.username']}:{options['--server.password']}".encode()).decode()
        def call(method, body=None):
            url = f"{base}/_db/{urllib.parse.quote(options['--server.database'], safe='')}/tool"
            request = urllib.request.Request(url, method=method, data=None if body is None else json.dumps(body).encode())
            request.add_header("Authorization", "Basic " + login)
            try:
                opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
                return json.load(opener.open(request))
            except Exception as error:
                sys.exit(f"FATAL could not connect: {error}")
        system = options["--include-system-collections"] == "true"
        def end(answer, count):
            if answer["fault"] == "toolFails":
                sys.exit("ERROR [f3bdd] {dump} got error from server: out of disk space")
            if answer["fault"] == "toolSilent":
                sys.exit(0)
            print(f"2026-11-21T02:00:00Z [1] INFO [66c0e] Processed {count} collection(s)", file=sys.stderr)
        if dumping:
            folder = options["--output-directory"]
            if os.path.exists(folder) and options.get("--overwrite") != "true":
                sys.exit(f"FATAL output directory '{folder}' already exists")
            os.makedirs(folder)
            answer = call("GET")
            data = {k: v for k, v in answer["data"].items() if system or not k.startswith("_")}
            json.dump({"database": options["--server.database"]}, open(f"{folder}/dump.json", "w"))
            open(f"{folder}/ENCRYPTION", "w").write("none")
            for name, documents in data.items():
                file = f"{folder}/{name}_{hashlib.md5(name.encode()).hexdigest()}"
                json.dump({"parameters": {"name": name}, "indexes": []}, open(file + ".structure.json", "w"))
                with open(file + ".data.json", "w") as out:
                    for document in documents:
                        out.write(json.dumps(document) + "\n")
            end(answer, len(data))
        else:
            folder = options["--input-directory"]
            if not os.path.exists(f"{folder}/dump.json"):
                sys.exit("FATAL no dump in the input directory")
            data = {}
            for file in os.listdir(folder):
                if not file.endswith(".structure.json"):
                    continue
                name = json.load(open(f"{folder}/{file}"))["parameters"]["name"]
                if system or not name.startswith("_"):
                    lines = open(f"{folder}/{file[:-15]}.data.json").read().splitlines()
                    data[name] = [json.loads(line) for line in lines]
            if options.get("--create-database") != "true":
                call("GET")
            end(call("POST", {"data": data}), len(data))
        """#
}
