using Slipway.Tests.Harness;

namespace Slipway.Tests.Conformance.Builds;

/// <summary>Each instruction, by what it leaves in the image.</summary>
public sealed class InstructionTests(SharedEngine engine) : BuildTest(engine)
{
    [Fact]
    public async Task RUN_has_the_environment_the_user_and_the_directory_of_its_place() =>
        Assert.Equal("one 65534 /w/d /root\n", await Shown(
            """
            FROM alpine
            ARG A=one
            WORKDIR /w
            RUN mkdir d && chown nobody d
            USER nobody
            WORKDIR d
            RUN echo $A $(id -u) $PWD > out
            USER root
            """,
            "echo $(cat /w/d/out) $HOME"));

    [Fact]
    public async Task RUN_without_a_shell_and_with_another_one() =>
        Assert.Equal("$X\nsh:value\n", await Shown(
            """
            FROM alpine
            ENV X=value
            RUN ["busybox", "sh", "-c", "echo '$X' > /a"]
            SHELL ["/bin/sh", "-ec", "echo sh:$X > /b; :"]
            RUN ignored
            """,
            "cat /a /b"));

    [Fact]
    public async Task Here_documents_are_scripts_and_files() =>
        Assert.Equal("first\nsecond value\nfrom sh\nexpanded value\nkept $X\n", await Shown(
            """
            FROM alpine
            ENV X=value
            RUN <<EOF
            echo first > /a
            echo second $X >> /a
            EOF
            RUN <<EOF
            #!/bin/busybox sh
            echo from sh > /b
            EOF
            COPY <<EOF <<'RAW' /c/
            expanded $X
            EOF
            kept $X
            RAW
            """,
            "cat /a /b /c/EOF /c/RAW"));

    [Fact]
    public async Task COPY_goes_where_Docker_puts_it()
    {
        Put("a", "a");
        Put("d/one", "1");
        Put("d/e/two", "2");
        Assert.Equal("a 1 2 a 1 a 2\n", await Shown(
            """
            FROM alpine
            WORKDIR /w
            COPY a .
            COPY d /d
            COPY a /file
            COPY d/on? a /many/
            COPY d/e /w/../deep/er/
            """,
            "echo $(cat /w/a) $(cat /d/one) $(cat /d/e/two) $(cat /file) $(cat /many/one) $(cat /many/a) $(cat /deep/er/two)"));
    }

    [Fact]
    public async Task COPY_keeps_modes_and_times_and_gives_owners()
    {
        Put("x", "x");
        File.SetUnixFileMode($"{Context}/x", (UnixFileMode)0x1E8);
        File.SetLastWriteTimeUtc($"{Context}/x", new DateTime(2001, 2, 3, 4, 5, 6, DateTimeKind.Utc));
        Assert.Equal("750 0:0 981173106\n65534:65534\n1000:1000 1000:1000\n600\n", await Shown(
            """
            FROM alpine
            COPY x /x
            COPY --chown=nobody:nobody x /y
            COPY --chown=1000 x /made/z
            COPY --chmod=600 x /m
            """,
            "stat -c '%a %u:%g %Y' /x; stat -c %u:%g /y; echo $(stat -c %u:%g /made /made/z); stat -c %a /m"));
    }

    [Fact]
    public async Task COPY_excludes_and_keeps_parents()
    {
        Put("a/b/keep", "k");
        Put("a/b/leave.log", "l");
        Put("a/c", "c");
        Assert.Equal("/all/b/keep\n/all/c\n/p/a/b/keep\n/q/b/keep\n", await Shown(
            """
            FROM alpine
            COPY --exclude=**/*.log a /all/
            COPY --parents a/b/keep /p/
            COPY --parents a/./b/keep /q/
            """,
            "find /all /p /q -type f | sort"));
    }

    [Fact]
    public async Task COPY_of_a_link_copies_what_it_leads_to_by_the_name_of_the_link()
    {
        Put("a.txt", "a");
        File.CreateSymbolicLink($"{Context}/lnk", "a.txt");
        Assert.Equal("regular file a\n", await Shown("FROM alpine\nCOPY lnk /", "echo $(stat -c %F /lnk) $(cat /lnk); ls /a.txt 2>/dev/null; true"));
    }

    [Fact]
    public async Task COPY_follows_links_of_the_image_where_it_writes()
    {
        Put("x", "x");
        Assert.Equal("x\n/real/in\n", await Shown("FROM alpine\nRUN mkdir -p /real/in && ln -s /real/in /link\nCOPY x /link/", "cat /real/in/x; echo; readlink /link"));
    }

    [Fact]
    public async Task COPY_from_a_stage_keeps_owners() =>
        Assert.Equal("65534 built\n", await Shown(
            """
            FROM alpine AS build
            RUN echo built > /out && chown nobody /out
            FROM alpine
            COPY --from=build /out /out
            """,
            "echo $(stat -c %u /out) $(cat /out)"));

    [Fact]
    public async Task COPY_link_is_blind_to_what_is_there()
    {
        Put("x", "x");
        Assert.Equal("directory x\n", await Shown("FROM alpine\nRUN mkdir /real && ln -s /real /link\nCOPY --link x /link/", "echo $(stat -c %F /link) $(cat /link/x)"));
    }

    [Theory]
    [InlineData("-z", "gzip", "1f8b")]
    [InlineData("-j", "bzip2", "425a")]
    [InlineData("-J", "xz-utils", "fd37")]
    [InlineData("--zstd", "zstd", "28b5")]
    public async Task ADD_unpacks_archives_and_COPY_does_not(string option, string package, string magic)
    {
        Requirement.Program(package == "xz-utils" ? "xz" : package, package);
        Put("in/file", "inside");
        (await Programs.Run("tar", ["-C", Context, option, "-cf", $"{Context}/archive", "in"])).Ok();
        Assert.Equal($"inside\n{magic}\n", await Shown("FROM alpine\nADD archive /u/\nCOPY archive /c", "cat /u/in/file; echo; head -c2 /c | od -An -tx1 | tr -d ' '"));
    }

    [Fact]
    public async Task WORKDIR_makes_directories_and_is_relative() =>
        Assert.Equal("/a/b 755\n", await Shown("FROM alpine\nWORKDIR /a\nWORKDIR b", "echo $PWD $(stat -c %a /a/b)"));

    [Fact]
    public async Task Configuration_is_that_of_the_instructions()
    {
        var image = Image();
        (await Build(
            """
            FROM alpine
            LABEL one=1 two="2 3"
            ENV E=1 F="a b"
            EXPOSE 80 53/udp
            VOLUME ["/v"]
            STOPSIGNAL SIGINT
            HEALTHCHECK --interval=5s --retries=2 CMD true
            ONBUILD RUN echo x
            ENTRYPOINT ["/bin/sh", "-c"]
            CMD ["echo default"]
            """,
            "-t", image, "--label", "three=4")).Ok();
        Assert.Equal(
            """{"one":"1","three":"4","two":"2 3"} ["E=1","F=a b"] {"53/udp":{},"80/tcp":{}} {"/v":{}} SIGINT ["CMD-SHELL","true"] ["RUN echo x"] ["/bin/sh","-c"] ["echo default"]""",
            (await Docker.Inspect(image, "{{json .Config.Labels}} {{json .Config.Env}} {{json .Config.ExposedPorts}} {{json .Config.Volumes}} {{.Config.StopSignal}} {{json .Config.Healthcheck.Test}} {{json .Config.OnBuild}} {{json .Config.Entrypoint}} {{json .Config.Cmd}}"))
                .Replace("\"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\",", "", StringComparison.Ordinal));
        Assert.Equal("default\n", (await Docker.Run("run", "--rm", "--network", "none", image)).Ok().Output);
    }

    [Fact]
    public async Task Triggers_of_a_base_run_in_the_build_that_starts_from_it()
    {
        Put("x", "triggered");
        var image = Image();
        (await Build("FROM alpine\nONBUILD COPY x /t\nONBUILD RUN cat /t > /u", "-t", image)).Ok();
        var built = await Build($"FROM {image}\nRUN echo after >> /u", "-t", Image("child"));
        Assert.Contains("# Executing 2 build triggers", built.Ok().Output, StringComparison.Ordinal);
        Assert.Equal("triggeredafter\n", await Shown($"FROM {image}\nRUN echo after >> /u", "cat /u"));
    }

    [Fact]
    public async Task Mounts_of_RUN_are_there_for_the_step_only()
    {
        Put("f", "bound");
        var cache = Guid.NewGuid().ToString("N");
        var dockerfile = $$"""
            FROM alpine AS s
            RUN echo staged > /s
            FROM alpine
            RUN --mount=type=bind,target=/ctx --mount=type=bind,from=s,source=/s,target=/mnt/s --mount=type=tmpfs,target=/fast --mount=type=cache,id={{cache}},target=/var/c \
                cat /ctx/f /mnt/s > /out && echo x >> /var/c/count && wc -l < /var/c/count >> /out && touch /fast/gone && ! touch /ctx/no 2>/dev/null
            """;
        Assert.Equal("boundstaged\n1\nno\n", await Shown(dockerfile, "cat /out; ls /ctx /mnt/s /fast /var/c 2>/dev/null || echo no"));
        Assert.Equal("boundstaged\n2\n", await Shown(dockerfile, "cat /out", "--no-cache"));
    }

    [Fact]
    public async Task A_step_that_changes_nothing_makes_no_layer()
    {
        var image = Image();
        (await Build("FROM alpine\nRUN true\nRUN --mount=type=tmpfs,target=/new/place true\nWORKDIR /tmp", "-t", image)).Ok();
        Assert.Equal(await Docker.Inspect("alpine", "{{len .RootFS.Layers}}"), await Docker.Inspect(image, "{{len .RootFS.Layers}}"));
    }

    [Fact]
    public async Task Deleted_files_of_the_base_are_gone() =>
        Assert.Equal("gone\n", await Shown("FROM alpine\nRUN rm -r /etc/os-release /home", "ls /etc/os-release /home 2>/dev/null || echo gone"));
}
