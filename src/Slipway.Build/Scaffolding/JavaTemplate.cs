using System.Text.RegularExpressions;

namespace Slipway.Build.Scaffolding;

/// <summary>Java by Maven or Gradle: the one archive that can be started, in an image with a runtime alone.</summary>
internal sealed partial class JavaTemplate : IProjectTemplate
{
    private const string DefaultVersion = "21";

    public string Name => "java";

    public bool Fits(ProjectFolder folder) => folder.Has("pom.xml") || folder.Has("build.gradle") || folder.Has("build.gradle.kts");

    public Scaffold Make(ProjectFolder folder)
    {
        bool gradle = !folder.Has("pom.xml") && (folder.Has("build.gradle") || folder.Has("build.gradle.kts"));
        string description = gradle ? folder.Text(folder.First("build.gradle.kts", "build.gradle")!) : folder.Text("pom.xml");
        List<string> guesses = ["the port: 8080"];
        string? version = (gradle ? GradleVersion() : MavenVersion()).Match(description) is { Success: true } match ? match.Groups[1].Value : null;
        if (version is null)
        {
            guesses.Add($"the version of Java: {DefaultVersion}");
        }

        version ??= DefaultVersion;
        bool spring = description.Contains("org.springframework.boot", StringComparison.Ordinal);
        string wrapper = gradle ? "./gradlew" : "./mvnw";
        bool wrapped = folder.Has(wrapper[2..]);
        string image = wrapped ? $"eclipse-temurin:{version}-jdk" : gradle ? $"gradle:jdk{version}" : $"maven:3-eclipse-temurin-{version}";
        string program = wrapped ? $"sh {wrapper}" : gradle ? "gradle" : "mvn";
        string command = gradle ? $"{program} --no-daemon {(spring ? "bootJar" : "jar")}" : $"{program} --batch-mode --quiet -DskipTests package";
        string file = $"""
            # syntax=docker/dockerfile:1
            FROM {image} AS build
            WORKDIR /source
            COPY . .
            RUN --mount=type=cache,target={(gradle ? "/root/.gradle" : "/root/.m2")} \
                {command}
            # Beside the program there may be archives of sources, and the program as it was before its libraries were put in.
            RUN cp "$(find {(gradle ? "build/libs" : "target")} -maxdepth 1 -name '*.jar' ! -name '*-sources.jar' ! -name '*-javadoc.jar' ! -name '*-plain.jar' ! -name 'original-*.jar' | head -n 1)" /program.jar

            FROM eclipse-temurin:{version}-jre
            COPY --from=build /program.jar /program.jar
            USER {ProjectTemplates.User}
            EXPOSE 8080
            ENTRYPOINT ["java", "-jar", "/program.jar"]

            """;
        return new Scaffold($"Java {version}, {(gradle ? "Gradle" : "Maven")}", file, ProjectTemplates.IgnoreFile("target", "build", ".gradle", "out"), 8080, guesses);
    }

    [GeneratedRegex(@"<(?:java\.version|maven\.compiler\.release|maven\.compiler\.source|release)>\s*(?:1\.)?(\d+)\s*<")]
    private static partial Regex MavenVersion();

    [GeneratedRegex(@"(?:JavaLanguageVersion\.of\(|JavaVersion\.VERSION_|(?:source|target)Compatibility\s*=\s*['""]?)(?:1[._])?(\d+)")]
    private static partial Regex GradleVersion();
}
