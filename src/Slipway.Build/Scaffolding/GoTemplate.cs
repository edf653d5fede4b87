using System.Text.RegularExpressions;

namespace Slipway.Build.Scaffolding;

/// <summary>Go: one static program in an image that has nothing else but certificates.</summary>
internal sealed partial class GoTemplate : IProjectTemplate
{
    private const string DefaultVersion = "1.25";

    public string Name => "go";

    public bool Fits(ProjectFolder folder) => folder.Has("go.mod");

    public Scaffold Make(ProjectFolder folder)
    {
        List<string> guesses = [];
        string? version = Version().Match(folder.Text("go.mod")) is { Success: true } match ? match.Groups[1].Value : null;
        if (version is null)
        {
            guesses.Add($"the version of Go: {DefaultVersion}");
        }

        string[] mains = [.. folder.Find("*.go").Where(file => MainPackage().IsMatch(folder.Text(file))).Select(file => Path.GetDirectoryName(file) ?? "").Distinct(StringComparer.Ordinal)];
        string package = mains is [] or ["", ..] ? "." : $"./{mains[0]}";
        if (mains.Length != 1)
        {
            guesses.Add($"the program: package {package}");
        }

        version ??= DefaultVersion;
        string file = $"""
            # syntax=docker/dockerfile:1
            FROM --platform=$BUILDPLATFORM golang:{version} AS build
            ARG TARGETOS
            ARG TARGETARCH
            WORKDIR /source
            COPY go.mod {(folder.Has("go.sum") ? "go.sum " : "")}./
            RUN --mount=type=cache,target=/go/pkg/mod go mod download
            COPY . .
            RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
                CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH go build -trimpath -ldflags=-s -o /program {ProjectTemplates.ShellWord(package)}

            FROM scratch
            COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
            COPY --from=build /program /program
            USER {ProjectTemplates.User}
            EXPOSE 8080
            ENTRYPOINT ["/program"]

            """;
        guesses.Add("the port: 8080");
        return new Scaffold($"Go {version}, package {package}", file, ProjectTemplates.IgnoreFile("**/*_test.go", "vendor"), 8080, guesses);
    }

    [GeneratedRegex(@"^go\s+(\d+\.\d+)", RegexOptions.Multiline)]
    private static partial Regex Version();

    [GeneratedRegex(@"^package\s+main\b", RegexOptions.Multiline)]
    private static partial Regex MainPackage();
}
