import jakarta.servlet.http.Cookie;
import jakarta.servlet.http.HttpServlet;
import jakarta.servlet.http.HttpServletRequest;
import jakarta.servlet.http.HttpServletResponse;
import jakarta.servlet.http.HttpSession;
import java.io.IOException;
import java.security.SecureRandom;
import java.util.Base64;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.apache.catalina.Context;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.apache.tomcat.util.json.JSONParser;

/** Tomcat, alone and with its sessions. BENCH_KIND, BENCH_DATA: see the servers in Go. */
public final class Server {
  private static final Map<String, Object> DATA = data();

  public static void main(String[] args) throws Exception {
    Tomcat tomcat = new Tomcat();
    tomcat.setBaseDir(System.getenv("BENCH_FOLDER"));
    Connector connector = new Connector();
    connector.setPort(Integer.parseInt(System.getenv("BENCH_PORT")));
    connector.setProperty("address", "127.0.0.1");
    // By default a connection ends after 100 requests.
    connector.setProperty("maxKeepAliveRequests", "-1");
    tomcat.setConnector(connector);
    Context context = tomcat.addContext("", null);
    boolean bare = System.getenv("BENCH_KIND").equals("bare");
    Tomcat.addServlet(context, "bench", bare ? new Bare() : new WithSession());
    context.addServletMappingDecoded("/*", "bench");
    tomcat.start();
    tomcat.getServer().await();
  }

  private static Map<String, Object> data() {
    try {
      return new JSONParser(System.getenv("BENCH_DATA")).parseObject();
    } catch (Exception failure) {
      throw new IllegalStateException(failure);
    }
  }

  /** Answers a text on every path. */
  private abstract static class Routes extends HttpServlet {
    @Override
    protected void doGet(HttpServletRequest request, HttpServletResponse response) throws IOException {
      response.setContentType("text/plain");
      response.getWriter().write(answer(request.getRequestURI(), request, response));
    }

    abstract String answer(String path, HttpServletRequest request, HttpServletResponse response);
  }

  private static final class Bare extends Routes {
    private final AtomicInteger count = new AtomicInteger(firstCount());
    private final SecureRandom random = new SecureRandom();

    @Override
    String answer(String path, HttpServletRequest request, HttpServletResponse response) {
      return switch (path) {
        case "/untouched" -> "untouched";
        case "/seed" -> start("seeded", response);
        case "/sign-in" -> start("welcome", response);
        case "/read" -> (String) DATA.get("user");
        case "/write" -> String.valueOf(count.incrementAndGet());
        case "/count" -> String.valueOf(count.get());
        default -> throw new IllegalArgumentException(path);
      };
    }

    private String start(String answer, HttpServletResponse response) {
      byte[] id = new byte[32];
      random.nextBytes(id);
      response.addCookie(new Cookie("bench", Base64.getUrlEncoder().withoutPadding().encodeToString(id)));
      return answer;
    }
  }

  private static final class WithSession extends Routes {
    @Override
    String answer(String path, HttpServletRequest request, HttpServletResponse response) {
      return switch (path) {
        case "/untouched" -> "untouched";
        case "/seed" -> start("seeded", request);
        case "/sign-in" -> signIn(request);
        case "/read" -> (String) request.getSession().getAttribute("user");
        case "/write" -> write(request.getSession());
        case "/count" -> String.valueOf(request.getSession().getAttribute("count"));
        default -> throw new IllegalArgumentException(path);
      };
    }

    private static String start(String answer, HttpServletRequest request) {
      HttpSession session = request.getSession();
      DATA.forEach(session::setAttribute);
      session.setAttribute("count", firstCount());
      return answer;
    }

    private static String signIn(HttpServletRequest request) {
      request.getSession();
      request.changeSessionId();
      return start("welcome", request);
    }

    private static String write(HttpSession session) {
      int count = (Integer) session.getAttribute("count") + 1;
      session.setAttribute("count", count);
      return String.valueOf(count);
    }
  }

  private static int firstCount() {
    return ((Number) DATA.get("count")).intValue();
  }
}
