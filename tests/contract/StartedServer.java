import com.sun.net.httpserver.HttpServer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;

/** Unpacks something into the temporary folder, as Tomcat does, and answers where HAPI would. */
public class StartedServer {
  public static void main(String[] words) throws Exception {
    Path unpacked = Files.createTempDirectory("tomcat.");
    Files.writeString(unpacked.resolve("page"), unpacked.toString());
    int port = Integer.parseInt(System.getenv("SERVER_PORT"));
    HttpServer server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), port), 0);
    server.createContext("/fhir/metadata", asked -> {
      byte[] where = unpacked.toString().getBytes();
      asked.sendResponseHeaders(200, where.length);
      asked.getResponseBody().write(where);
      asked.close();
    });
    server.start();
  }
}
